//! The embedded store under random schedules (SECURITY F-03).
#![expect(clippy::unwrap_used, reason = "in tests a panic is the failure report")]

use auth_core::store::contract::{Bench, model};
use proptest::{collection::vec, prelude::*};
use sidecar::store::sqlite::{SqliteOptions, SqliteStore};

fn bench() -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path(), SqliteOptions::default()).unwrap();
    Bench::new(store).keeping(directory)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_schedule_goes_as_the_reference_says(numbers in vec(any::<u64>(), 1..40)) {
        bench().run(|bench| model::one_by_one(bench, numbers));
    }

    #[test]
    fn interleaved_acts_go_as_some_order_of_them(numbers in vec(any::<u64>(), 1..60)) {
        bench().run(|bench| model::interleaved(bench, numbers));
    }
}
