//! The store in memory under random schedules (SECURITY F-03).

use auth_core::store::{
    contract::{Bench, model},
    memory::MemoryStore,
};
use proptest::{collection::vec, prelude::*};

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_schedule_goes_as_the_reference_says(numbers in vec(any::<u64>(), 1..40)) {
        Bench::new(MemoryStore::new()).run(|bench| model::one_by_one(bench, numbers));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn interleaved_acts_go_as_some_order_of_them(numbers in vec(any::<u64>(), 1..60)) {
        Bench::new(MemoryStore::new()).run(|bench| model::interleaved(bench, numbers));
    }
}
