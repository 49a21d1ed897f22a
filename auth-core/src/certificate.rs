//! What a call carries of a client certificate. Whether it is good was for the handshake to say;
//! nothing here trusts it any more than that.

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use jiff::{civil::DateTime, tz::TimeZone};

use crate::{clock::Timestamp, wire::Peer};

/// The tags of what is read (X.690).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

impl Peer {
    /// The same peer, who has proven to hold this certificate, in DER form.
    #[must_use]
    pub fn with_certificate(self, der: &[u8]) -> Self {
        let Validity {
            not_before,
            not_after,
        } = Validity::of(der);
        Self {
            certificate_sha256: Bytes::copy_from_slice(digest(&SHA256, der).as_ref()),
            not_before,
            not_after,
            ..self
        }
    }
}

/// From when to when a certificate is valid (RFC 5280 section 4.1.2.5); an end that cannot be read
/// is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Validity {
    /// From when on.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
}

impl Validity {
    /// What a certificate in DER form says of it.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        Self::read(der).unwrap_or_default()
    }

    fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = element(der, SEQUENCE)?;
        let (signed, _) = element(certificate, SEQUENCE)?;
        let rest = element(signed, VERSION).map_or(signed, |(_, rest)| rest);
        let (_, rest) = element(rest, INTEGER)?;
        let (_, rest) = element(rest, SEQUENCE)?; // the algorithm
        let (_, rest) = element(rest, SEQUENCE)?; // the issuer
        let (validity, _) = element(rest, SEQUENCE)?;
        let (first, rest) = time(validity)?;
        let second = time(rest);
        Some(Self {
            not_before: instant(first),
            not_after: second.and_then(|(second, _)| instant(second)),
        })
    }
}

/// The tag of a time, which tells its form, and its text.
type Time<'a> = (u8, &'a [u8]);

/// The time that the bytes begin with, and what follows it.
fn time(bytes: &[u8]) -> Option<(Time<'_>, &[u8])> {
    let of = |tag| element(bytes, tag).map(|(content, rest)| ((tag, content), rest));
    of(UTC_TIME).or_else(|| of(GENERALIZED_TIME))
}

fn instant((tag, content): Time<'_>) -> Option<Timestamp> {
    let content = std::str::from_utf8(content).ok()?;
    // Two digits of a year are those from 1950 to 2049.
    let text = match tag {
        UTC_TIME if content < "5" => format!("20{content}"),
        UTC_TIME => format!("19{content}"),
        _ => content.to_owned(),
    };
    let at = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    let at = at.to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(Timestamp::from_micros(at.as_microsecond()))
}

/// The content of the element that the bytes begin with, if it has this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (_, bytes) = bytes.split_first().filter(|(first, _)| **first == tag)?;
    let (short, bytes) = bytes.split_first()?;
    let (length, bytes) = match usize::from(*short) {
        length @ 0..=0x7f => (length, bytes),
        long => {
            let (digits, bytes) = bytes.split_at_checked(long & 0x7f)?;
            // Four bytes of length are far more than any handshake carries.
            let is_sane = (1..=4).contains(&digits.len());
            let fold = |length, digit: &u8| length << 8 | usize::from(*digit);
            (digits.iter().fold(0, fold), is_sane.then_some(bytes)?)
        }
    };
    bytes.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len();
        let mut all = vec![tag];
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => all.push(short),
            _ => all.extend([0x82, (length >> 8) as u8, (length & 0xff) as u8]),
        }
        all.extend_from_slice(content);
        all
    }

    fn certificate(version: bool, first: (u8, &str), second: (u8, &str)) -> Vec<u8> {
        let times = [first, second].map(|(tag, text)| der(tag, text.as_bytes()));
        let validity = times.concat();
        let parts = [
            if version {
                der(VERSION, &der(INTEGER, &[2]))
            } else {
                Vec::new()
            },
            der(INTEGER, &[1, 2, 3]),
            der(SEQUENCE, b"algorithm"),
            der(SEQUENCE, &[b'i'; 300]),
            der(SEQUENCE, &validity),
            der(SEQUENCE, b"subject"),
        ];
        der(SEQUENCE, &der(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn a_certificate_says_from_when_to_when_it_is_valid() {
        const GOOD: (u8, &str) = (GENERALIZED_TIME, "20500101000000Z");
        for (version, tag, text, expected) in [
            (true, UTC_TIME, "261123163825Z", Some(1_795_451_905)),
            (false, UTC_TIME, "261123163825Z", Some(1_795_451_905)),
            (true, UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (true, UTC_TIME, "500101000000Z", Some(-631_152_000)),
            (
                true,
                GENERALIZED_TIME,
                "20500101000000Z",
                Some(2_524_608_000),
            ),
            (true, UTC_TIME, "261323163825Z", None),
            (true, UTC_TIME, "2611231638Z", None),
            (true, UTC_TIME, "261123163825+0100", None),
            (true, GENERALIZED_TIME, "20500101000000", None),
            (true, 0x0c, "261123163825Z", None),
        ] {
            let good = Some(Timestamp::from_seconds(2_524_608_000));
            let odd = expected.map(Timestamp::from_seconds);
            let first = Validity::of(&certificate(version, (tag, text), GOOD));
            assert_eq!(first.not_before, odd, "{text}");
            // After what is no time at all, nothing is looked for.
            let is_time = tag != 0x0c;
            assert_eq!(first.not_after, good.filter(|_| is_time), "{text}");
            let second = Validity::of(&certificate(version, GOOD, (tag, text)));
            assert_eq!((second.not_before, second.not_after), (good, odd), "{text}");
        }
    }

    #[test]
    fn what_is_cut_or_no_certificate_says_nothing() {
        let time = (UTC_TIME, "261123163825Z");
        let whole = certificate(true, time, time);
        for length in 0..whole.len() {
            let read = Validity::of(&whole[..length]);
            assert_eq!(read, Validity::default(), "{length}");
        }
        for odd in [
            &b"\x30\x80\x00\x00"[..],
            b"\x30\x85\x00\x00\x00\x00\x00",
            b"-----",
        ] {
            assert_eq!(Validity::of(odd), Validity::default());
        }
    }
}
