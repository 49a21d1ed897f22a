//! A decision point that is another Sidegate.
