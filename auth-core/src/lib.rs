//! Sessions and permissions, the same on every wire.
//!
//! A [`Call`](wire::Call) comes by a wire and reaches an [`Operation`](operation::Operation) of an
//! app. A [`Strategy`](strategy::Strategy) finds the credential that the caller presents, which
//! leads to a [`Session`](live::Session). [`Requirement`](requirement::Requirement)s, OR over keys
//! and AND within, ask named [`Check`](check::Check)s of session, data, wire and look-ups. What
//! comes out is an [`Answer`](decision::Answer): allow, deny or *could not decide*, always with its
//! reason, and rendered by the one table of [`outcome`].
//!
//! - The policy file and its compiled form: [`policy`], [`expression`], [`operation`], [`route`].
//! - Deciding: [`engine`], the [`decision_point::DecisionPoint`] in process; [`evaluation`], its
//!   part without I/O; [`explain`], how a decision came about.
//! - Sessions: [`session`], the record, its handle and its secret; [`store`], what every store
//!   must do, with the suite that proves it; [`call`], the sealed handle that apps write with.
//! - Credentials: [`grammar`], [`jwt`], [`cookie`], [`keys`], [`text`].
//!
//! Nothing here opens a socket or reads the clock: time, randomness, stores and fetchers are
//! handed in.

#![forbid(unsafe_code)]

pub mod assertion;
pub mod authority;
pub mod body;
pub mod call;
pub mod caller;
pub mod certificate;
pub mod check;
pub mod clock;
pub mod cookie;
pub mod cors;
pub mod cross_site;
pub mod csrf;
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
pub mod origin;
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
pub mod text;
pub mod throttle;
pub mod value;
pub mod wire;
pub mod wire_update;
