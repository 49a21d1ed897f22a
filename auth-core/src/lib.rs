//! Sessions and permissions, the same on every wire.

#![forbid(unsafe_code)]

pub mod authority;
pub mod call;
pub mod caller;
pub mod check;
pub mod clock;
pub mod cookie;
pub mod data;
pub mod decision;
pub mod decision_point;
pub mod engine;
pub mod evaluation;
pub mod explain;
pub mod expression;
pub mod grammar;
pub mod invalidation;
pub mod jwt;
pub mod keys;
pub mod live;
pub mod lookup;
pub mod observe;
pub mod operation;
pub mod outcome;
pub mod policy;
pub mod principal;
pub mod random;
pub mod requirement;
pub mod route;
pub mod scope;
pub mod session;
pub mod stated;
pub mod store;
pub mod strategy;
pub mod suggest;
pub mod target;
pub mod throttle;
pub mod value;
pub mod wire;
pub mod wire_update;
