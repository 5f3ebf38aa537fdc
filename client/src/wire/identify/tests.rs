//! What a server grants, refuses and answers.

use super::*;

/// The answer of an nsqd 1.3.0 without flags.
const RECORDED: &str = r#"{"max_rdy_count":2500,"version":"1.3.0","max_msg_timeout":900000,"msg_timeout":60000,"tls_v1":false,"deflate":false,"deflate_level":6,"max_deflate_level":6,"snappy":false,"sample_rate":0,"auth_required":false,"output_buffer_size":16384,"output_buffer_timeout":250,"topology_region":"","topology_zone":""}"#;

fn settle(request: &str) -> Result<Settings, String> {
    let request = IdentifyRequest::parse(request.as_bytes()).unwrap();
    IdentifyOffer::default()
        .negotiate(&request)
        .map_err(|error| error.to_string())
}

#[test]
fn the_response_has_the_bytes_of_the_reference() {
    let settings = settle(r#"{"feature_negotiation":true}"#).unwrap();
    let response = IdentifyOffer::default().response(&settings);
    assert_eq!(String::from_utf8(response).unwrap(), RECORDED);
}

#[test]
fn a_client_reads_responses_of_older_and_newer_servers() {
    let response: IdentifyResponse =
        serde_json::from_str(r#"{"version":"0.2.28","later":[1],"snappy":true}"#).unwrap();
    assert_eq!(response.version, "0.2.28");
    assert!(response.snappy);
    assert_eq!(response.topology_zone, "");
}

#[test]
fn values_out_of_range_are_refused() {
    let check = |field: &str, given: i64, what: &str| {
        let refused = format!("E_BAD_BODY IDENTIFY {what} ({given}) is invalid");
        assert_eq!(settle(&format!("{{\"{field}\":{given}}}")), Err(refused));
    };
    for given in [-2, 999, 60_001, i64::MIN, i64::MAX] {
        check("heartbeat_interval", given, "heartbeat interval");
    }
    for given in [-2, 24, 30_001] {
        check("output_buffer_timeout", given, "output buffer timeout");
    }
    for given in [-2, 63, 65_537] {
        check("output_buffer_size", given, "output buffer size");
    }
    for given in [-1, 100, i64::from(i32::MAX)] {
        check("sample_rate", given, "sample rate");
    }
    for given in [-1, 999, 900_001] {
        check("msg_timeout", given, "msg timeout");
    }
}

#[test]
fn the_first_bad_value_in_the_reference_s_order_is_told() {
    let mut fields = vec![
        ("msg_timeout", "msg timeout"),
        ("sample_rate", "sample rate"),
        ("output_buffer_size", "output buffer size"),
        ("output_buffer_timeout", "output buffer timeout"),
        ("heartbeat_interval", "heartbeat interval"),
    ];
    while let Some((_, first)) = fields.last() {
        let body: Vec<String> = fields
            .iter()
            .map(|(key, _)| format!("\"{key}\":-9"))
            .collect();
        let refused = format!("E_BAD_BODY IDENTIFY {first} (-9) is invalid");
        assert_eq!(settle(&format!("{{{}}}", body.join(","))), Err(refused));
        fields.pop();
    }
}

#[test]
fn values_at_their_limits_are_taken() {
    let low = settle(
        r#"{"heartbeat_interval":1000,"output_buffer_timeout":25,"output_buffer_size":64,
            "sample_rate":99,"msg_timeout":1000}"#,
    )
    .unwrap();
    assert_eq!(low.heartbeat_interval, Some(Duration::from_secs(1)));
    assert_eq!(low.output_buffer_timeout, Some(Duration::from_millis(25)));
    assert_eq!(low.output_buffer_size, 64);
    assert_eq!(low.sample_rate, 99);
    assert_eq!(low.msg_timeout, Duration::from_secs(1));
    let high = settle(
        r#"{"heartbeat_interval":60000,"output_buffer_timeout":30000,
            "output_buffer_size":65536,"msg_timeout":900000}"#,
    )
    .unwrap();
    assert_eq!(high.heartbeat_interval, Some(Duration::from_mins(1)));
    assert_eq!(high.output_buffer_timeout, Some(Duration::from_secs(30)));
    assert_eq!(high.output_buffer_size, 65_536);
    assert_eq!(high.msg_timeout, Duration::from_mins(15));
}

#[test]
fn zero_is_the_default_and_minus_one_is_off() {
    let zero = r#"{"heartbeat_interval":0,"output_buffer_timeout":0,"output_buffer_size":0,
                   "sample_rate":0,"msg_timeout":0}"#;
    assert_eq!(settle(zero), settle("{}"));

    let off = settle(r#"{"heartbeat_interval":-1,"output_buffer_timeout":-1}"#).unwrap();
    assert_eq!(off.heartbeat_interval, None);
    assert_eq!(off.output_buffer_timeout, None);
    assert_eq!(off.output_buffer_size, 16_384);

    let unbuffered = settle(r#"{"output_buffer_size":-1,"output_buffer_timeout":1000}"#).unwrap();
    assert_eq!(unbuffered.output_buffer_size, 1);
    assert_eq!(unbuffered.output_buffer_timeout, None);
}

#[test]
fn features_are_granted_when_offered_and_asked_for() {
    let asked = r#"{"feature_negotiation":true,"tls_v1":true,"snappy":true}"#;
    let settings = settle(asked).unwrap();
    assert!(!settings.tls_v1 && settings.snappy && !settings.deflate);

    let with_tls = IdentifyOffer {
        tls_v1: true,
        snappy: false,
        ..IdentifyOffer::default()
    };
    let request = IdentifyRequest::parse(asked.as_bytes()).unwrap();
    let settings = with_tls.negotiate(&request).unwrap();
    assert!(settings.tls_v1 && !settings.snappy);
}

#[test]
fn both_compressions_are_refused_only_when_both_are_granted() {
    let both = r#"{"feature_negotiation":true,"deflate":true,"snappy":true}"#;
    let refused = "E_IDENTIFY_FAILED cannot enable both deflate and snappy compression";
    assert_eq!(settle(both), Err(refused.to_owned()));

    let ignored = settle(r#"{"deflate":true,"snappy":true}"#).unwrap();
    assert!(!ignored.deflate && !ignored.snappy);

    let no_snappy = IdentifyOffer {
        snappy: false,
        ..IdentifyOffer::default()
    };
    let request = IdentifyRequest::parse(both.as_bytes()).unwrap();
    assert!(no_snappy.negotiate(&request).unwrap().deflate);
}

#[test]
fn the_deflate_level_counts_only_with_deflate() {
    let check = |deflate: bool, asked: i64, max: u32, level: u32| {
        let offer = IdentifyOffer {
            max_deflate_level: max,
            ..IdentifyOffer::default()
        };
        let request = IdentifyRequest {
            feature_negotiation: Some(true),
            deflate: Some(deflate),
            deflate_level: Some(asked),
            ..IdentifyRequest::default()
        };
        assert_eq!(offer.negotiate(&request).unwrap().deflate_level, level);
    };
    check(true, 3, 6, 3);
    check(true, 9, 6, 6);
    check(true, 0, 9, 6);
    check(true, -1, 9, 6);
    check(true, i64::MAX, 9, 9);
    check(false, 3, 9, 6);
    check(false, 3, 2, 2);
}
