//! The reasons that `google.rpc.ErrorInfo` carries, for servers and clients to share.

/// The domain of all reasons.
pub const DOMAIN: &str = "sidegate";

/// A field of the request makes no sense; `BadRequest` names it.
pub const INVALID_FIELD: &str = "INVALID_FIELD";
/// The caller is not known.
pub const CALLER_UNKNOWN: &str = "CALLER_UNKNOWN";
/// The caller lacks a grant; metadata `grant`.
pub const GRANT_MISSING: &str = "GRANT_MISSING";
/// The grant may be used over a unix socket only; metadata `grant`.
pub const TRANSPORT_NOT_ALLOWED: &str = "TRANSPORT_NOT_ALLOWED";
/// The caller may not speak of this wire; metadata `wire`.
pub const WIRE_NOT_ALLOWED: &str = "WIRE_NOT_ALLOWED";
/// The tenant is not the caller's.
pub const TENANT_NOT_ALLOWED: &str = "TENANT_NOT_ALLOWED";
/// The handle `call` is not ours, too old or another caller's.
pub const CALL_INVALID: &str = "CALL_INVALID";
/// The session has ended.
pub const SESSION_GONE: &str = "SESSION_GONE";
/// There is no such session.
pub const SESSION_NOT_FOUND: &str = "SESSION_NOT_FOUND";
/// There is no such API key.
pub const API_KEY_NOT_FOUND: &str = "API_KEY_NOT_FOUND";
/// The policy file is bad, so the old policy stays in force.
pub const POLICY_INVALID: &str = "POLICY_INVALID";
/// The operation may not write this; metadata `operation`, `needed`.
pub const WRITE_NOT_ALLOWED: &str = "WRITE_NOT_ALLOWED";
/// The caller may not sign in principals of this namespace; metadata `caller`, `namespace`.
pub const NAMESPACE_NOT_ALLOWED: &str = "NAMESPACE_NOT_ALLOWED";
/// The caller may not set this claim; metadata `caller`, `claim`.
pub const CLAIM_NOT_ALLOWED: &str = "CLAIM_NOT_ALLOWED";
/// The session changed since it was read.
pub const ETAG_MISMATCH: &str = "ETAG_MISMATCH";
/// The edge cannot deliver the change; metadata `update`.
pub const UPDATE_NOT_DELIVERABLE: &str = "UPDATE_NOT_DELIVERABLE";
/// A session of this origin cannot be changed; metadata `origin`.
pub const SESSION_READ_ONLY: &str = "SESSION_READ_ONLY";
/// The subject has as many sessions as allowed; metadata `limit`.
pub const TOO_MANY_SESSIONS: &str = "TOO_MANY_SESSIONS";
/// Claims and attributes are too large; metadata `bytes`, `limit`.
pub const RECORD_TOO_LARGE: &str = "RECORD_TOO_LARGE";
/// Another number of sessions lives than was expected; metadata `live`.
pub const COUNT_MISMATCH: &str = "COUNT_MISMATCH";
/// The id or token is taken.
pub const ALREADY_EXISTS: &str = "ALREADY_EXISTS";
/// The store could not answer; `RetryInfo` says when to ask again.
pub const STORE_UNAVAILABLE: &str = "STORE_UNAVAILABLE";
/// The store has no room left.
pub const STORE_OUT_OF_SPACE: &str = "STORE_OUT_OF_SPACE";
/// The store may not be written.
pub const STORE_READ_ONLY: &str = "STORE_READ_ONLY";
/// The store holds a record that makes no sense.
pub const STORE_DAMAGED: &str = "STORE_DAMAGED";
/// No randomness could be had, so nothing was made.
pub const RANDOM_UNAVAILABLE: &str = "RANDOM_UNAVAILABLE";
/// The deadline passed.
pub const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
