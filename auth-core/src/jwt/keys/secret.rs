//! Shared secrets: long enough, and nothing that a cracker tries first (T-12).

use super::KeyError;
use crate::jwt::Algorithm;

/// What people write where random bytes belong. In lower case.
const WORDS: [&str; 26] = [
    "secret",
    "password",
    "passwort",
    "passphrase",
    "changeme",
    "change",
    "replace",
    "default",
    "example",
    "sample",
    "test",
    "demo",
    "admin",
    "letmein",
    "qwerty",
    "welcome",
    "jwt",
    "token",
    "key",
    "hmac",
    "your",
    "super",
    "private",
    "development",
    "256-bit",
    "sidegate",
];

/// What people put between words.
const SEPARATORS: &str = " -_.,;:'!?\n";

/// Fewer distinct bytes than this are no random bytes: 32 random hex digits have 10 or more but
/// once in some ten thousand, and longer or denser texts practically always.
const MIN_DISTINCT: usize = 10;

/// RFC 7518 section 3.2: a key of the same size as the hash output or larger.
pub(super) fn check_length(secret: &[u8], algorithm: Algorithm) -> Result<(), KeyError> {
    let (bytes, needed) = (secret.len(), algorithm.hash_bytes());
    if bytes < needed {
        Err(KeyError::SecretTooShort { bytes, needed })
    } else {
        Ok(())
    }
}

/// Refuses words and patterns.
pub(super) fn check_guessable(secret: &[u8]) -> Result<(), KeyError> {
    check_words(secret)?;
    let mut seen = [false; 256];
    for byte in secret {
        if let Some(slot) = seen.get_mut(usize::from(*byte)) {
            *slot = true;
        }
    }
    let distinct = seen.into_iter().filter(|seen| *seen).count();
    if distinct < MIN_DISTINCT || is_repetition(secret) || is_ramp(secret) {
        return Err(KeyError::SecretGuessable);
    }
    Ok(())
}

/// Refuses text that consists of letters of one case (and separators), or of well-known words with
/// little else.
pub(super) fn check_words(secret: &[u8]) -> Result<(), KeyError> {
    let Ok(text) = std::str::from_utf8(secret) else {
        return Ok(());
    };
    if !text.is_empty()
        && (is_prose(text, char::is_lowercase) || is_prose(text, char::is_uppercase))
    {
        return Err(KeyError::SecretGuessable);
    }
    let mut rest = text.to_lowercase();
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    let rest = rest
        .chars()
        .filter(|char| !SEPARATORS.contains(*char))
        .count();
    if rest < text.len() / 2 && rest < 16 {
        return Err(KeyError::SecretGuessable);
    }
    Ok(())
}

fn is_prose(text: &str, letter: fn(char) -> bool) -> bool {
    text.chars()
        .all(|char| letter(char) || char.is_whitespace() || SEPARATORS.contains(char))
}

/// Whether a short piece is repeated until the length is reached.
fn is_repetition(secret: &[u8]) -> bool {
    (1..=secret.len() / 2).any(|period| {
        secret
            .iter()
            .zip(secret.iter().skip(period))
            .all(|(left, right)| left == right)
    })
}

/// Whether each byte is the one before plus a constant: `0123456789...`, `abcdef...`.
fn is_ramp(secret: &[u8]) -> bool {
    let mut steps = secret
        .iter()
        .zip(secret.iter().skip(1))
        .map(|(a, b)| b.wrapping_sub(*a));
    let first = steps.next();
    steps.all(|step| Some(step) == first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_patterns_are_refused() {
        let ramp: Vec<u8> = (0..64).collect();
        for secret in [
            &b"your-256-bit-secret-your-256-bit-secret"[..],
            b"correct horse battery staple and more words",
            b"SUPER_SECRET_JWT_KEY_SUPER_SECRET_JWT_KEY",
            b"Secret123Secret123Secret123Secret123",
            b"changeme-Password1-test-key-example-42",
            b"00000000000000000000000000000000",
            b"12121212121212121212121212121212",
            ramp.as_slice(),
            &[0x5a; 64],
        ] {
            assert_eq!(
                check_guessable(secret),
                Err(KeyError::SecretGuessable),
                "{secret:?}"
            );
        }
    }

    #[test]
    fn random_bytes_pass_however_they_are_written() {
        for secret in [
            &b"\x8f\x02\xd1\x77\x3a\xee\x90\x41\x5c\x13\xf8\x66\xb0\x29\xcd\x84\x1e\xa7"[..],
            b"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            b"hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
            b"MFRGG43FMZQW4ZDPNVSXG5DFMRSW6YLCMNSWIZLP", // Base32.
        ] {
            assert_eq!(check_guessable(secret), Ok(()), "{secret:?}");
        }
    }

    #[test]
    fn a_secret_is_as_long_as_the_hash() {
        for (algorithm, needed) in [
            (Algorithm::Hs256, 32),
            (Algorithm::Hs384, 48),
            (Algorithm::Hs512, 64),
        ] {
            assert_eq!(check_length(&vec![1; needed], algorithm), Ok(()));
            let short = KeyError::SecretTooShort {
                bytes: needed - 1,
                needed,
            };
            assert_eq!(check_length(&vec![1; needed - 1], algorithm), Err(short));
        }
    }
}
