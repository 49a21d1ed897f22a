//! The wire-neutral session contract and its generated types.
//!
//! - [`v1`]: decisions, sessions and their administration by services.
//! - [`admin`]: administration by operators.
//! - [`envoy`]: what Envoy asks and is answered, which is no part of the contract.
//!
//! Features: `client` and `server` generate the two sides; `core` adds the conversions to and from
//! the types of `auth-core`. Messages that hold a secret leave it out of their `Debug`.

#![forbid(unsafe_code)]

#[cfg(feature = "core")]
pub mod codec;
pub mod core;
pub mod envoy;
#[cfg(all(feature = "core", feature = "client"))]
pub mod remote;
#[cfg(feature = "tls")]
pub mod tls;

/// Authorization, sessions and the wire: package `sidegate.v1`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::missing_errors_doc,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("sidegate.v1");
    include!(concat!(env!("OUT_DIR"), "/sidegate.v1.debug.rs"));
}

/// For operators.
pub mod admin {
    /// Status, explanations, reload and API keys: package `sidegate.admin.v1`.
    #[allow(
        missing_docs,
        unreachable_pub,
        clippy::all,
        clippy::missing_errors_doc,
        reason = "generated code"
    )]
    pub mod v1 {
        tonic::include_proto!("sidegate.admin.v1");
        include!(concat!(env!("OUT_DIR"), "/sidegate.admin.v1.debug.rs"));
    }
}

/// The encoded `FileDescriptorSet` of the contract, for reflection and JSON.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

#[cfg(test)]
mod tests {
    use super::v1;

    #[test]
    fn debug_leaves_secrets_out() {
        let token = v1::IssueToken {
            token: "sg1_secret".into(),
            expire_time: None,
        };
        let credential = v1::Credential {
            source: v1::CredentialSource::Authorization.into(),
            name: String::new(),
            value: "Bearer sg1_secret".into(),
        };
        let attribute = v1::Attribute {
            name: "user-agent".into(),
            value: "secret".into(),
        };
        // A query may hold an API key, and data a password.
        let call = v1::AuthorizeRequest {
            wire: Some(v1::WireContext {
                target: "/books?api_key=sgk_secret".into(),
                attributes: vec![attribute],
                ..v1::WireContext::default()
            }),
            data_json: r#"{"password":"secret"}"#.into(),
            ..v1::AuthorizeRequest::default()
        };
        let printed = format!("{token:?} {credential:?} {call:?}");
        assert!(!printed.contains("secret"), "{printed}");
        assert!(printed.contains("IssueToken"), "{printed}");
    }

    #[test]
    fn debug_leaves_out_what_a_client_sent_through_envoy() {
        use super::envoy::{
            config::core::v3::{HeaderMap, HeaderValue},
            service::auth::v3::{HttpRequest, Request},
        };
        let header = HeaderValue {
            key: "authorization".into(),
            value: "secret".into(),
            raw_value: "secret".into(),
        };
        let http = HttpRequest {
            path: "/books?api_key=secret".into(),
            headers: [("cookie".to_owned(), "secret".into())].into(),
            raw_body: "secret".into(),
            header_map: Some(HeaderMap {
                headers: vec![header],
            }),
            ..HttpRequest::default()
        };
        let printed = format!("{:?}", Request { http: Some(http) });
        assert!(!printed.contains("secret"), "{printed}");
        assert!(printed.contains("authorization"), "{printed}");
    }
}
