//! What Envoy asks and is answered: the subset of its messages that Sidegate uses, declared by
//! ourselves. The modules lie as the packages do, since generated code refers to them so.

/// What is shared by Envoy's services.
pub mod config {
    /// Package `envoy.config.core`.
    pub mod core {
        /// Headers and addresses: package `envoy.config.core.v3`.
        #[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
        pub mod v3 {
            tonic::include_proto!("envoy.config.core.v3");
            include!(concat!(env!("OUT_DIR"), "/envoy.config.core.v3.debug.rs"));
        }
    }
}

/// What Envoy asks of others.
pub mod service {
    /// Package `envoy.service.auth`.
    pub mod auth {
        /// External authorization: package `envoy.service.auth.v3`.
        #[allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::missing_errors_doc,
            reason = "generated code"
        )]
        pub mod v3 {
            tonic::include_proto!("envoy.service.auth.v3");
            include!(concat!(env!("OUT_DIR"), "/envoy.service.auth.v3.debug.rs"));
        }
    }

    /// Package `envoy.service.ext_proc`.
    pub mod ext_proc {
        /// External processing: package `envoy.service.ext_proc.v3`.
        #[allow(
            missing_docs,
            unreachable_pub,
            clippy::all,
            clippy::missing_errors_doc,
            reason = "generated code"
        )]
        pub mod v3 {
            tonic::include_proto!("envoy.service.ext_proc.v3");
            include!(concat!(
                env!("OUT_DIR"),
                "/envoy.service.ext_proc.v3.debug.rs"
            ));
        }
    }
}

/// The encoded `FileDescriptorSet` of these messages, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/envoy.bin"));
