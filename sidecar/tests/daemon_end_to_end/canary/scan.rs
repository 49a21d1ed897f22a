//! Finds a secret in a heap of bytes, however it is written down.

use std::collections::{BTreeSet, HashMap};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD},
};

/// The shortest secret that is looked for: a shorter one is found by accident.
const MIN_BYTES: usize = 8;

/// A secret, and how it may be written down.
pub(super) struct Secret {
    name: String,
    forms: Vec<(String, Vec<u8>)>,
}

impl Secret {
    /// A secret as bytes.
    pub(super) fn bytes(name: &str, secret: &[u8]) -> Self {
        assert!(secret.len() >= MIN_BYTES, "{name} is too short");
        let mut forms = vec![("itself".to_owned(), secret.to_vec())];
        let decimal: Vec<String> = secret.iter().map(u8::to_string).collect();
        forms.push(("as a list".into(), decimal.join(", ").into_bytes()));
        let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        forms.push(("in upper hex".into(), hex.to_uppercase().into_bytes()));
        forms.push(("in hex".into(), hex.into_bytes()));
        let percent: String = secret.iter().map(|byte| format!("%{byte:02X}")).collect();
        forms.push(("percent-encoded".into(), percent.into_bytes()));
        for (name, engine) in [("base64", &STANDARD), ("base64url", &URL_SAFE)] {
            for before in 0..3 {
                let text = within(engine.encode([&vec![0; before], secret].concat()), before);
                forms.push((format!("in {name} after {before}"), text));
            }
        }
        Self {
            name: name.to_owned(),
            forms,
        }
    }

    /// A token: all of it, what follows its prefix, the two ends of that, and the bytes it stands
    /// for.
    pub(super) fn token(name: &str, token: &str) -> Vec<Self> {
        let body = ["sg1_", "sgk_"]
            .iter()
            .find_map(|prefix| token.strip_prefix(prefix))
            .unwrap_or(token);
        let mut secrets = vec![
            Self::bytes(name, token.as_bytes()),
            Self::bytes(&format!("{name} without prefix"), body.as_bytes()),
        ];
        if body.len() < 24 {
            return secrets;
        }
        let (start, end) = (&body[..12], &body[body.len() - 12..]);
        secrets.push(Self::bytes(&format!("start of {name}"), start.as_bytes()));
        secrets.push(Self::bytes(&format!("end of {name}"), end.as_bytes()));
        if let Ok(decoded) = URL_SAFE_NO_PAD.decode(body) {
            secrets.push(Self::bytes(&format!("{name} decoded"), &decoded));
        }
        secrets
    }

    /// All forms, for a test of the test.
    pub(super) fn forms(&self) -> impl Iterator<Item = &[u8]> {
        self.forms.iter().map(|(_, form)| &**form)
    }
}

/// Catches secrets: all of them in one pass, since a heap may be large and secrets many.
pub(super) struct Net<'a> {
    /// Whether a form starts with these two bytes.
    starts: Vec<bool>,
    /// The forms that start with these bytes, and what to say of them.
    forms: HashMap<&'a [u8], Vec<(String, &'a [u8])>>,
}

impl<'a> Net<'a> {
    pub(super) fn new(secrets: &'a [Secret]) -> Self {
        let mut net = Self {
            starts: vec![false; 1 << 16],
            forms: HashMap::new(),
        };
        for secret in secrets {
            for (how, form) in &secret.forms {
                net.starts[start(form)] = true;
                let alike = net.forms.entry(&form[..MIN_BYTES]).or_default();
                alike.push((format!("{} {how}", secret.name), form));
            }
        }
        net
    }

    /// The secrets that are written down here, and how.
    pub(super) fn caught_in(&self, heap: &[u8]) -> BTreeSet<String> {
        let windows = heap.windows(MIN_BYTES).enumerate();
        let candidates = windows.filter(|(_, window)| self.starts[start(window)]);
        let alike = candidates.flat_map(|(at, window)| {
            let forms = self.forms.get(window).into_iter().flatten();
            forms.filter(move |(_, form)| heap[at..].starts_with(form))
        });
        alike.map(|(what, _)| what.clone()).collect()
    }
}

fn start(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// What of an encoded text depends on the secret alone, with so many bytes before it.
fn within(text: String, before: usize) -> Vec<u8> {
    let from = (before * 8).div_ceil(6);
    let unpadded = text.trim_end_matches('=');
    // The last character of a text that had padding holds bits of what may follow.
    let to = unpadded.len() - usize::from(unpadded.len() < text.len());
    text.as_bytes()[from..to].to_vec()
}

/// Where these bytes stand in the heap.
pub(super) fn find(heap: &[u8], needle: &[u8]) -> Option<usize> {
    heap.windows(needle.len())
        .position(|window| window == needle)
}
