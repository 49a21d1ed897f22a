//! A store in memory, for tests and for rules without a server.
