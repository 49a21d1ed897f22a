//! The claims of a token whose signature holds: which must be there, what they must say, and what
//! is kept of them. A claim of the wrong type is an error, never an absence (T-04).

use serde_json::{Map, Number, Value};

use super::{Confirmation, Issuer, Part, Rejection, SignedPayload, json};
use crate::{clock::Timestamp, text::is_hidden};

/// The longest identifier (`sub`, `jti`, `sid` and the like), in characters.
pub const MAX_ID_CHARS: usize = 255;

/// The end of the year 9999: later instants are mistakes of unit (milliseconds, say).
const LAST_SECOND: i64 = 253_402_300_799;

/// Claims of ID tokens and of logout tokens and other events; access tokens have none of them (T-07).
const OTHER_KINDS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];

/// A token that was verified. It holds none of the token's text.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedToken {
    /// Position of the issuer in the verifier's list.
    pub issuer: usize,
    /// `sub`: the subject at that issuer. `None` only where the issuer may leave it out.
    pub subject: Option<String>,
    /// `exp`, without leeway.
    pub expires_at: Timestamp,
    /// `iat`.
    pub issued_at: Option<Timestamp>,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
    /// `jti`: with the issuer, what a revocation of this one token names (T-13).
    pub jti: Option<String>,
    /// `sid`: with the issuer, what a revocation of the login behind it names.
    pub sid: Option<String>,
    /// `client_id`, else `azp`.
    pub client_id: Option<String>,
    /// `scope` and `scp`, in their order and each once.
    pub scopes: Vec<String>,
    /// `auth_time`: when the subject last authenticated.
    pub auth_time: Option<Timestamp>,
    /// `acr`: how strongly.
    pub acr: Option<String>,
    /// `amr`: by what methods.
    pub amr: Vec<String>,
    /// `act`: who acts for the subject.
    pub actor: Option<Actor>,
    /// `cnf`: who may use it, to be asked at each use.
    pub confirmation: Confirmation,
    /// Every other claim, for the policy to read.
    pub claims: Map<String, Value>,
    usable_from: Timestamp,
    usable_until: Timestamp,
}

/// Who acts for the subject (RFC 8693 section 4.1). Only the outermost actor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The actor's `sub`.
    pub subject: String,
    /// The actor's `iss`, where it is not the token's.
    pub issuer: Option<String>,
}

impl VerifiedToken {
    /// The instant from which on the token is refused: `exp` plus the issuer's leeway. Revocations
    /// must be kept until then (R18).
    #[must_use]
    pub fn usable_until(&self) -> Timestamp {
        self.usable_until
    }

    /// Whether the token may be used at `now`; the same test for a fresh and a remembered token.
    ///
    /// # Errors
    ///
    /// [`Rejection::Expired`], [`Rejection::NotYetValid`] or [`Rejection::IssuedInFuture`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), Rejection> {
        if now >= self.usable_until {
            return Err(Rejection::Expired);
        }
        if now < self.usable_from {
            let early = self.not_before.is_some_and(|not_before| {
                self.issued_at
                    .is_none_or(|issued_at| issued_at <= not_before)
            });
            return Err(if early {
                Rejection::NotYetValid
            } else {
                Rejection::IssuedInFuture
            });
        }
        Ok(())
    }
}

/// Reads the claims of a signed token of `issuer`, which stands at `position`.
pub(super) fn read(
    payload: &SignedPayload,
    issuer: &Issuer,
    position: usize,
    now: Timestamp,
) -> Result<VerifiedToken, Rejection> {
    let members = json::object(payload.as_bytes());
    let members = members.map_err(|fault| Rejection::Json {
        part: Part::Payload,
        fault,
    })?;
    check_kind(&members)?;
    check_required(&members, issuer)?;
    let mut claims = Claims(members);
    if claims.text("iss")?.as_deref() != Some(issuer.name.as_str()) {
        return Err(Rejection::Issuer);
    }
    check_audience(&claims.0, issuer)?;
    let token = collect(&mut claims, issuer, position)?;
    token.check_time(now)?;
    Ok(token)
}

fn check_kind(members: &Map<String, Value>) -> Result<(), Rejection> {
    Confirmation::read(members.get("cnf"))?;
    match OTHER_KINDS
        .into_iter()
        .find(|name| members.contains_key(*name))
    {
        Some(name) => Err(Rejection::TokenKind { name }),
        None => Ok(()),
    }
}

fn check_required(members: &Map<String, Value>, issuer: &Issuer) -> Result<(), Rejection> {
    let subject = if issuer.subject_optional {
        None
    } else {
        Some("sub")
    };
    let always = ["iss", "aud", "exp"].into_iter().chain(subject);
    match always
        .chain(issuer.required.iter().map(String::as_str))
        .find(|name| !members.contains_key(*name))
    {
        Some(name) => Err(Rejection::MissingClaim {
            name: name.to_owned(),
        }),
        None => Ok(()),
    }
}

/// RFC 7519 section 4.1.3: one string or a list of them, and we must be among them.
fn check_audience(members: &Map<String, Value>, issuer: &Issuer) -> Result<(), Rejection> {
    let ours = |text: &str| issuer.audiences.iter().any(|audience| audience == text);
    let found = match members.get("aud") {
        Some(Value::String(text)) => ours(text),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).any(ours)
        }
        _ => return Err(Rejection::MalformedClaim { name: "aud" }),
    };
    if found {
        Ok(())
    } else {
        Err(Rejection::Audience)
    }
}

fn collect(
    claims: &mut Claims,
    issuer: &Issuer,
    position: usize,
) -> Result<VerifiedToken, Rejection> {
    let exp = claims
        .instant("exp")?
        .ok_or(Rejection::MalformedClaim { name: "exp" })?;
    let (issued_at, not_before) = (claims.instant("iat")?, claims.instant("nbf")?);
    let confirmation = Confirmation::read(claims.0.remove("cnf").as_ref())?;
    if issuer.certificate_bound && confirmation == Confirmation::Bearer {
        return Err(Rejection::CertificateUnbound);
    }
    let usable_from = issued_at
        .max(not_before)
        .map(|start| start.minus(issuer.leeway));
    Ok(VerifiedToken {
        issuer: position,
        subject: claims.id("sub")?,
        expires_at: exp,
        issued_at,
        not_before,
        jti: claims.id("jti")?,
        sid: claims.id("sid")?,
        client_id: claims.client()?,
        scopes: claims.scopes()?,
        auth_time: claims.instant("auth_time")?,
        acr: claims.id("acr")?,
        amr: claims.methods()?,
        actor: claims.actor()?,
        confirmation,
        usable_from: usable_from.unwrap_or(Timestamp::from_micros(i64::MIN)),
        usable_until: exp.plus(issuer.leeway),
        claims: std::mem::take(&mut claims.0),
    })
}

/// Claims, taken out one by one; what is left is the policy's.
struct Claims(Map<String, Value>);

impl Claims {
    fn text(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Rejection::MalformedClaim { name }),
        }
    }

    /// Text that goes into look-ups, headers and logs: never empty, too long or unclean (H-07).
    fn id(&mut self, name: &'static str) -> Result<Option<String>, Rejection> {
        match self.text(name)? {
            Some(text) if !is_id(&text) => Err(Rejection::MalformedClaim { name }),
            other => Ok(other),
        }
    }

    /// A `NumericDate`: seconds since the epoch, fractions allowed (RFC 7519 section 2).
    fn instant(&mut self, name: &'static str) -> Result<Option<Timestamp>, Rejection> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Value::Number(number)) => numeric_date(&number)
                .map(Some)
                .ok_or(Rejection::MalformedClaim { name }),
            Some(_) => Err(Rejection::MalformedClaim { name }),
        }
    }

    /// `client_id` (RFC 9068) or `azp` (OpenID Connect); two that differ are one too many.
    fn client(&mut self) -> Result<Option<String>, Rejection> {
        match (self.id("client_id")?, self.id("azp")?) {
            (Some(client), Some(party)) if client != party => {
                Err(Rejection::MalformedClaim { name: "azp" })
            }
            (client, party) => Ok(client.or(party)),
        }
    }

    /// `scope` is text with spaces (RFC 8693 section 4.2); `scp` is that or a list, by issuer.
    fn scopes(&mut self) -> Result<Vec<String>, Rejection> {
        let mut scopes = Vec::new();
        if let Some(text) = self.text("scope")? {
            add_scopes(&mut scopes, text.split(' '), "scope")?;
        }
        match self.0.remove("scp") {
            None => {}
            Some(Value::String(text)) => add_scopes(&mut scopes, text.split(' '), "scp")?,
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                add_scopes(&mut scopes, list.iter().filter_map(Value::as_str), "scp")?;
            }
            Some(_) => return Err(Rejection::MalformedClaim { name: "scp" }),
        }
        Ok(scopes)
    }

    fn methods(&mut self) -> Result<Vec<String>, Rejection> {
        let malformed = Rejection::MalformedClaim { name: "amr" };
        let Some(value) = self.0.remove("amr") else {
            return Ok(Vec::new());
        };
        let Value::Array(list) = value else {
            return Err(malformed);
        };
        list.into_iter()
            .map(|method| match method {
                Value::String(text) if is_id(&text) => Ok(text),
                _ => Err(malformed.clone()),
            })
            .collect()
    }

    /// An `act` that names nobody is refused: a delegated token must not pass as its subject's own.
    fn actor(&mut self) -> Result<Option<Actor>, Rejection> {
        let malformed = Err(Rejection::MalformedClaim { name: "act" });
        match self.0.remove("act") {
            None => Ok(None),
            Some(Value::Object(members)) => {
                let mut members = Self(members);
                match (members.id("sub"), members.text("iss")) {
                    (Ok(Some(subject)), Ok(issuer)) => Ok(Some(Actor { subject, issuer })),
                    _ => malformed,
                }
            }
            Some(_) => malformed,
        }
    }
}

fn numeric_date(number: &Number) -> Option<Timestamp> {
    if let Some(seconds) = number.as_i64() {
        return (0..=LAST_SECOND)
            .contains(&seconds)
            .then(|| Timestamp::from_seconds(seconds));
    }
    let seconds = number
        .as_f64()
        .filter(|seconds| (0.0..=LAST_SECOND as f64).contains(seconds))?;
    // In range, so that the product is far from the limits of `i64`.
    Some(Timestamp::from_micros((seconds * 1_000_000.0) as i64))
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.chars().count() <= MAX_ID_CHARS && !text.contains(is_hidden)
}

/// Adds scope tokens of RFC 6749 section 3.3; empty ones come from doubled spaces and mean nothing.
fn add_scopes<'a>(
    scopes: &mut Vec<String>,
    tokens: impl Iterator<Item = &'a str>,
    name: &'static str,
) -> Result<(), Rejection> {
    for token in tokens.filter(|token| !token.is_empty()) {
        if !token
            .bytes()
            .all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
        {
            return Err(Rejection::MalformedClaim { name });
        }
        if !scopes.iter().any(|scope| scope == token) {
            scopes.push(token.to_owned());
        }
    }
    Ok(())
}
