//! What the two ends of a connection say about themselves, as JSON.

use std::time::Duration;

use client::wire::lookup::{LookupdInfo, PeerInfo};
use client::wire::{IdentifyOffer, IdentifyRequest, IdentifyResponse, Settings};

/// What is read is what it is written as, and nothing is granted that is not offered.
pub fn identify(data: &[u8]) {
    if let Ok(request) = IdentifyRequest::parse(data) {
        assert_eq!(
            IdentifyRequest::parse(&request.to_json()).as_ref(),
            Ok(&request)
        );
        negotiate(&request);
    }
    if let Ok(info) = PeerInfo::parse(data) {
        assert_eq!(PeerInfo::parse(&info.to_json()), Ok(info));
    }
    if let Ok(info) = LookupdInfo::parse(data) {
        let again = LookupdInfo::parse(&info.to_json()).expect("it was just written");
        assert_eq!(again, info);
    }
    if let Ok(response) = serde_json::from_slice::<IdentifyResponse>(data) {
        let written = serde_json::to_vec(&response).expect("strings and numbers are always JSON");
        let again: IdentifyResponse = serde_json::from_slice(&written).expect("just written");
        assert_eq!(again, response);
    }
}

fn negotiate(request: &IdentifyRequest) {
    let all = IdentifyOffer {
        tls_v1: true,
        ..IdentifyOffer::default()
    };
    let none = IdentifyOffer {
        deflate: false,
        snappy: false,
        ..IdentifyOffer::default()
    };
    for offer in [all, none] {
        let Ok(settings) = offer.negotiate(request) else {
            continue;
        };
        check(&offer, &settings);
        let response: IdentifyResponse = serde_json::from_slice(&offer.response(&settings))
            .expect("the response is what a client reads");
        assert_eq!(
            (response.tls_v1, response.deflate, response.snappy),
            (settings.tls_v1, settings.deflate, settings.snappy)
        );
        assert_eq!(
            u128::from(response.msg_timeout),
            settings.msg_timeout.as_millis()
        );
    }
}

fn check(offer: &IdentifyOffer, settings: &Settings) {
    assert!(offer.tls_v1 || !settings.tls_v1);
    assert!(offer.deflate || !settings.deflate);
    assert!(offer.snappy || !settings.snappy);
    assert!(!(settings.deflate && settings.snappy));
    let layered = settings.tls_v1 || settings.deflate || settings.snappy;
    assert!(settings.feature_negotiation || !layered);
    assert!(settings.deflate_level <= offer.max_deflate_level);
    assert!((1..=offer.max_output_buffer_size).contains(&settings.output_buffer_size));
    assert!(settings.sample_rate <= 99);
    assert!(settings.msg_timeout > Duration::ZERO && settings.msg_timeout <= offer.max_msg_timeout);
    let interval = settings.heartbeat_interval.unwrap_or_default();
    assert!(interval <= offer.max_heartbeat_interval);
}
