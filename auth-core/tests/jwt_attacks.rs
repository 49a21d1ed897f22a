//! Attacks on tokens, one by one: our own table (SECURITY section 2), each row with the requirement
//! it belongs to and the one reason it must be refused for.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "in a test a panic is the failure report, two tests take their own time, and the modules are ours alone"
)]

#[path = "jwt_attacks/claims.rs"]
mod claims;
#[path = "jwt_attacks/form.rs"]
mod form;
#[path = "jwt_attacks/key_rules.rs"]
mod key_rules;
#[path = "jwt_attacks/keys.rs"]
mod keys;
#[path = "jwt_attacks/kit.rs"]
mod kit;
#[path = "jwt_attacks/signatures.rs"]
mod signatures;
#[path = "jwt_attacks/table.rs"]
mod table;
#[path = "jwt_attacks/valid.rs"]
mod valid;
