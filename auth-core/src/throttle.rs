//! Slows down those who guess: too many refused credentials from one address (SECURITY S-21).

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use quick_cache::sync::Cache;

use crate::clock::Timestamp;

/// How many refusals an address may collect in [`WINDOW`].
pub const MAX_REFUSALS: u32 = 600;
/// The window that is counted over.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses are watched; the least active are forgotten first.
const MAX_ADDRESSES: usize = 16_384;

/// Counts refusals by address, in bounded memory.
#[derive(Debug)]
pub struct Throttle {
    /// The start of the window in seconds, above 24 bits of count.
    windows: Cache<String, Arc<AtomicU64>>,
}

impl Default for Throttle {
    fn default() -> Self {
        Self {
            windows: Cache::new(MAX_ADDRESSES),
        }
    }
}

impl Throttle {
    /// Whether the address has had too many refusals. An unknown address is never throttled.
    #[must_use]
    pub fn is_over(&self, address: &str, now: Timestamp) -> bool {
        !address.is_empty()
            && self.windows.get(address).is_some_and(|window| {
                let (start, count) = unpack(window.load(Ordering::Relaxed));
                count >= MAX_REFUSALS && in_window(start, now)
            })
    }

    /// Counts a refusal.
    pub fn refused(&self, address: &str, now: Timestamp) {
        if address.is_empty() {
            return;
        }
        let fresh = || Ok::<_, std::convert::Infallible>(Arc::new(AtomicU64::new(pack(now, 0))));
        let Ok(window) = self.windows.get_or_insert_with(address, fresh);
        let _ = window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let (start, count) = unpack(word);
            let next = if in_window(start, now) {
                pack(Timestamp::from_seconds(start), count.saturating_add(1))
            } else {
                pack(now, 1)
            };
            Some(next)
        });
    }
}

fn in_window(start: i64, now: Timestamp) -> bool {
    let now = now.as_seconds();
    start <= now && now - start < i64::try_from(WINDOW.as_secs()).unwrap_or(i64::MAX)
}

const COUNT_BITS: u32 = 24;

fn pack(start: Timestamp, count: u32) -> u64 {
    let start = u64::try_from(start.as_seconds()).unwrap_or(0);
    start << COUNT_BITS | u64::from(count.min((1 << COUNT_BITS) - 1))
}

fn unpack(word: u64) -> (i64, u32) {
    let count = word & ((1 << COUNT_BITS) - 1);
    (
        i64::try_from(word >> COUNT_BITS).unwrap_or(i64::MAX),
        u32::try_from(count).unwrap_or(u32::MAX),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[test]
    fn s_21_an_address_is_throttled_at_the_limit_and_free_after_the_window() {
        let throttle = Throttle::default();
        for _ in 0..MAX_REFUSALS {
            assert!(!throttle.is_over("192.0.2.1", NOW));
            throttle.refused("192.0.2.1", NOW);
        }
        assert!(throttle.is_over("192.0.2.1", NOW));
        assert!(!throttle.is_over("192.0.2.2", NOW));
        assert!(!throttle.is_over("192.0.2.1", NOW.plus(WINDOW)));
    }

    #[test]
    fn s_21_an_unknown_address_is_never_throttled() {
        let throttle = Throttle::default();
        (0..2 * MAX_REFUSALS).for_each(|_| throttle.refused("", NOW));
        assert!(!throttle.is_over("", NOW));
    }

    #[test]
    fn s_21_any_number_of_addresses_takes_bounded_memory() {
        let throttle = Throttle::default();
        for n in 0..100_000 {
            throttle.refused(&format!("address-{n}"), NOW);
        }
        assert!(throttle.windows.len() <= MAX_ADDRESSES);
    }
}
