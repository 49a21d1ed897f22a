//! Random schedules against an obvious reference.
