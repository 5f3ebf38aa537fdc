//! What `GET /config/<option>` answers: every setting under its key in the configuration file.

use client::daemon::duration::GoDuration;
use serde_json::{Value, json};

use super::{Options, tls};

/// The value of one setting.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigValue {
    /// A string, answered raw.
    Text(String),
    /// A number, a boolean or a list, answered as JSON. Durations are nanoseconds.
    Json(Value),
}

impl Options {
    /// Returns the value of `key` at the start of the process; `None` for what is no option.
    ///
    /// Two may have changed since: the log level, see [`LogHandle`](client::daemon::log::LogHandle), and the addresses of
    /// nsqlookupds, see [`Lookup`](crate::lookup::Lookup).
    pub fn config_value(&self, key: &str) -> Option<ConfigValue> {
        let text = self
            .text(key)
            .map(|text| ConfigValue::Text(text.to_owned()));
        let json = || {
            self.number(key)
                .or_else(|| self.list_or_bool(key))
                .map(ConfigValue::Json)
        };
        text.or_else(json)
    }

    fn text(&self, key: &str) -> Option<&str> {
        Some(match key {
            "log_prefix" => &self.log_prefix,
            "tcp_address" => &self.tcp_address,
            "http_address" => &self.http_address,
            "https_address" => &self.flags.https_address,
            "broadcast_address" => &self.broadcast_address,
            "auth_http_request_method" => &self.flags.auth_http_request_method,
            "durability" => self.durability.name(),
            "topology_region" => &self.topology_region,
            "topology_zone" => &self.topology_zone,
            "data_path" => self.flags.data_path.to_str()?,
            "statsd_address" => &self.flags.statsd_address,
            "tls_cert" => &self.flags.tls_cert,
            "tls_key" => &self.flags.tls_key,
            "tls_client_auth_policy" => &self.flags.tls_client_auth_policy,
            "tls_root_ca_file" => &self.flags.tls_root_ca_file,
            _ => return None,
        })
    }

    fn number(&self, key: &str) -> Option<Value> {
        let flags = &self.flags;
        Some(match key {
            "id" => json!(self.node_id),
            "log_level" => json!(self.log_level.number()),
            "broadcast_tcp_port" => json!(self.broadcast_tcp_port),
            "broadcast_http_port" => json!(self.broadcast_http_port),
            "http_client_connect_timeout" => nanoseconds(flags.http_client_connect_timeout),
            "http_client_request_timeout" => nanoseconds(flags.http_client_request_timeout),
            "mem_queue_size" => json!(self.mem_queue_size),
            "mem_queue_bytes" => json!(self.mem_queue_bytes),
            "max_bytes_per_file" => json!(self.max_bytes_per_file),
            "sync_every" => json!(self.sync_every),
            "sync_timeout" => nanoseconds(flags.sync_timeout),
            "checkpoint_interval" => nanoseconds(flags.checkpoint_interval),
            "queue_scan_worker_pool_max" => json!(flags.queue_scan_worker_pool_max),
            "queue_scan_selection_count" => json!(flags.queue_scan_selection_count),
            "msg_timeout" => nanoseconds(flags.msg_timeout),
            "max_msg_timeout" => nanoseconds(flags.max_msg_timeout),
            "max_msg_size" => json!(self.max_msg_size),
            "max_req_timeout" => nanoseconds(flags.max_req_timeout),
            "max_body_size" => json!(self.max_body_size),
            "max_heartbeat_interval" => nanoseconds(flags.max_heartbeat_interval),
            "max_rdy_count" => json!(self.max_rdy_count),
            "max_output_buffer_size" => json!(self.max_output_buffer_size),
            "max_output_buffer_timeout" => nanoseconds(flags.max_output_buffer_timeout),
            "min_output_buffer_timeout" => nanoseconds(flags.min_output_buffer_timeout),
            "output_buffer_timeout" => nanoseconds(flags.output_buffer_timeout),
            "max_channel_consumers" => json!(self.max_channel_consumers),
            "max_connections" => json!(self.max_connections),
            "max_topics" => json!(self.max_topics),
            "max_channels_per_topic" => json!(self.max_channels_per_topic),
            "statsd_interval" => nanoseconds(flags.statsd_interval),
            "statsd_udp_packet_size" => json!(flags.statsd_udp_packet_size),
            "e2e_processing_latency_window_time" => {
                nanoseconds(flags.e2e_processing_latency_window_time)
            }
            "tls_required" => json!(self.tls.required as u8),
            "tls_min_version" => json!(tls::min_version(flags).number()),
            "max_deflate_level" => json!(self.max_deflate_level),
            _ => return None,
        })
    }

    fn list_or_bool(&self, key: &str) -> Option<Value> {
        let flags = &self.flags;
        Some(match key {
            "nsqlookupd_tcp_addresses" => json!(self.lookupd_tcp_addresses),
            "auth_http_addresses" => json!(flags.auth_http_address),
            "enable_experiment" => json!(flags.enable_experiment),
            "e2e_processing_latency_percentiles" => json!(flags.e2e_processing_latency_percentile),
            "statsd_mem_stats" => json!(flags.statsd_mem_stats),
            "statsd_exclude_ephemeral" => json!(flags.statsd_exclude_ephemeral),
            "enable_peek" => json!(flags.enable_peek),
            "auth_anchor_patterns" => json!(flags.auth_anchor_patterns),
            "deflate" => json!(self.deflate),
            "snappy" => json!(self.snappy),
            _ => return None,
        })
    }
}

/// As the reference shows durations.
fn nanoseconds(duration: GoDuration) -> Value {
    json!(u64::try_from(duration.0.as_nanos()).unwrap_or(u64::MAX))
}
