//! Part of Sidegate.
