//! Instants and spans.

use std::time::Duration;

use auth_core::clock::Timestamp;

use super::ConvertError;

/// 9999-12-31T23:59:59Z, the last second that a protobuf timestamp can name.
const LAST_SECOND: i64 = 253_402_300_799;
/// 0001-01-01T00:00:00Z, the first one.
const FIRST_SECOND: i64 = -62_135_596_800;
/// 10,000 years, the longest span that a protobuf duration can name, in seconds.
const LONGEST_SPAN: i64 = 315_576_000_000;

/// The instant as a message. One beyond the year 9999 is given as the end of that year, since a
/// message can name no later one.
#[must_use]
pub fn to_message(at: Timestamp) -> prost_types::Timestamp {
    let seconds = at.as_seconds();
    let micros = at.as_micros().rem_euclid(1_000_000);
    if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
        return prost_types::Timestamp {
            seconds: seconds.clamp(FIRST_SECOND, LAST_SECOND),
            nanos: 0,
        };
    }
    prost_types::Timestamp {
        seconds,
        nanos: i32::try_from(micros * 1000).unwrap_or(0),
    }
}

/// The instant of a message, in whole microseconds.
///
/// # Errors
///
/// Returns [`ConvertError`] for `field` when it lies outside the years 1 to 9999 or its
/// nanoseconds outside a second.
pub fn from_message(field: &str, at: prost_types::Timestamp) -> Result<Timestamp, ConvertError> {
    if !(FIRST_SECOND..=LAST_SECOND).contains(&at.seconds) {
        return Err(ConvertError::new(field, "lies outside the years 1 to 9999"));
    }
    if !(0..1_000_000_000).contains(&at.nanos) {
        let problem = "has nanoseconds outside 0 to 999999999";
        return Err(ConvertError::new(field, problem));
    }
    let micros = at.seconds * 1_000_000 + i64::from(at.nanos / 1000);
    Ok(Timestamp::from_micros(micros))
}

/// The span as a message.
#[must_use]
pub fn span_to_message(span: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(span.as_secs()).map_or(LONGEST_SPAN, |s| s.min(LONGEST_SPAN)),
        nanos: i32::try_from(span.subsec_nanos()).unwrap_or(0),
    }
}

/// The span of a message, longer than zero.
///
/// # Errors
///
/// Returns [`ConvertError`] for `field` when it is not longer than zero, or not well formed.
pub fn span_from_message(
    field: &str,
    span: prost_types::Duration,
) -> Result<Duration, ConvertError> {
    if span.seconds > LONGEST_SPAN || !(-999_999_999..1_000_000_000).contains(&span.nanos) {
        return Err(ConvertError::new(field, "is not a well-formed duration"));
    }
    match (u64::try_from(span.seconds), u32::try_from(span.nanos)) {
        (Ok(seconds), Ok(nanos)) if seconds > 0 || nanos > 0 => Ok(Duration::new(seconds, nanos)),
        _ => Err(ConvertError::new(field, "must be longer than zero")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_comes_back_as_it_was() {
        for micros in [0, 1, -1, 1_767_225_600_123_456, -62_135_596_800_000_000] {
            let at = Timestamp::from_micros(micros);
            assert_eq!(from_message("t", to_message(at)), Ok(at), "{micros}");
        }
    }

    #[test]
    fn an_instant_beyond_the_years_stays_well_formed() {
        for at in [Timestamp::MAX, Timestamp::from_micros(i64::MIN)] {
            assert!(from_message("t", to_message(at)).is_ok(), "{at:?}");
        }
    }

    #[test]
    fn a_malformed_instant_is_refused() {
        for (seconds, nanos) in [(i64::MAX, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000)] {
            let at = prost_types::Timestamp { seconds, nanos };
            assert!(from_message("t", at).is_err(), "{at:?}");
        }
    }

    #[test]
    fn a_span_must_be_longer_than_zero_and_well_formed() {
        for (seconds, nanos, good) in [
            (1, 0, true),
            (0, 1, true),
            (0, 0, false),
            (-1, 0, false),
            (1, -1, false),
            (0, 1_000_000_000, false),
            (i64::MAX, 0, false),
        ] {
            let span = prost_types::Duration { seconds, nanos };
            assert_eq!(span_from_message("ttl", span).is_ok(), good, "{span:?}");
        }
    }
}
