//! What files and calls meet: sessions in a store, rows in a source, a strategy and checks that a
//! program registered.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use auth_core::{
    check::{Facts, NativeCheck},
    clock::Timestamp,
    expression::Type,
    grammar::TokenText,
    live::{Origin, Session},
    lookup::{DescribeError, Description, LookupError, LookupSource},
    policy::{Natives, compile::OpenSource},
    principal::Principal,
    scope::ScopeMatching,
    session::{Identity, JsonObject, SessionId, SessionToken, Tenant, TokenKind},
    store::{NewSession, SessionStore as _, memory::MemoryStore},
    strategy::{NativeFound, NativeStrategy},
    value::Value,
    wire::Call,
};
use serde_json::json;

use super::numbers::Numbers;

/// When all calls are made.
pub const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// A session as the twin sees it.
#[derive(Clone, Debug)]
pub struct Stated {
    pub subject: Option<(&'static str, &'static str)>,
    pub has_actor: bool,
    pub claims: JsonObject,
    pub attributes: JsonObject,
    pub scopes: Vec<&'static str>,
}

impl Stated {
    fn random(numbers: &mut Numbers) -> Self {
        let subjects = [
            ("local", "u1"),
            ("local", "u2"),
            ("local", "a"),
            ("idp", "u1"),
        ];
        let subject = numbers.chance(88).then(|| numbers.pick(&subjects));
        let mut claims = JsonObject::new();
        let values = [
            (
                "role",
                vec![
                    json!("admin"),
                    json!("user"),
                    json!("a"),
                    json!(7),
                    json!(null),
                ],
            ),
            (
                "level",
                vec![
                    json!(0),
                    json!(3),
                    json!(5),
                    json!(2.5),
                    json!("3"),
                    json!(null),
                ],
            ),
            (
                "groups",
                vec![
                    json!(["a"]),
                    json!(["a", "b"]),
                    json!([]),
                    json!([null, "b"]),
                    json!([1]),
                    json!("a"),
                ],
            ),
            (
                "vip",
                vec![json!(true), json!(false), json!(1), json!(null)],
            ),
        ];
        for (name, values) in values {
            if numbers.chance(85) {
                claims.insert(name.into(), numbers.pick(&values));
            }
        }
        let mut attributes = JsonObject::new();
        if numbers.chance(60) {
            let themes = [json!("dark"), json!("a"), json!({}), json!(null)];
            attributes.insert("theme".into(), numbers.pick(&themes));
        }
        let scopes = [
            "read",
            "admin",
            "admin:*",
            "admin:books",
            "read:b",
            "administrator",
        ];
        Self {
            subject,
            has_actor: subject.is_some() && numbers.chance(8),
            claims,
            attributes,
            scopes: (0..numbers.below(4))
                .map(|_| numbers.pick(&scopes))
                .collect(),
        }
    }

    fn identity(&self) -> Identity {
        Identity {
            subject: self
                .subject
                .map(|(space, id)| Principal::new(space, id).unwrap()),
            actor: self.has_actor.then(|| Principal::local("helper").unwrap()),
            claims: self.claims.clone(),
            scopes: self.scopes.iter().map(ToString::to_string).collect(),
            ..Identity::default()
        }
    }
}

/// Sessions, each under a cookie and a bearer token; the last ones have ended.
pub struct World {
    pub store: Arc<MemoryStore>,
    pub sessions: Arc<Vec<Stated>>,
}

/// How many sessions there are, and how many more that have ended.
pub const LIVE: usize = 120;
pub const ENDED: usize = 10;

/// The token of a session; one of a number that no session has is unknown.
pub fn token(kind: TokenKind, number: usize) -> String {
    TokenText::new(secret(kind, number).as_bytes())
        .as_str()
        .to_owned()
}

fn secret(kind: TokenKind, number: usize) -> SessionToken {
    let mut bytes = [0; SessionToken::BYTES];
    bytes[2] = u8::from(kind == TokenKind::Bearer);
    bytes[3..11].copy_from_slice(&(number as u64).to_be_bytes());
    SessionToken::from_bytes(bytes)
}

impl World {
    pub async fn new(seed: u64) -> Self {
        let mut numbers = Numbers::new(seed ^ 0x5e55_1015);
        let store = MemoryStore::default();
        let mut sessions = Vec::new();
        for number in 0..LIVE + ENDED {
            let stated = Stated::random(&mut numbers);
            let ended = number >= LIVE;
            let hour = Duration::from_secs(3600);
            let created = if ended {
                Timestamp::from_seconds(1_799_000_000)
            } else {
                NOW
            };
            for kind in [TokenKind::Cookie, TokenKind::Bearer] {
                let mut id = [0; 16];
                id[0] = u8::from(kind == TokenKind::Bearer);
                id[1..9].copy_from_slice(&(number as u64).to_be_bytes());
                let new = NewSession {
                    strategy: None,
                    id: SessionId::from_bytes(id),
                    tenant: Tenant::default(),
                    token: secret(kind, number).hash(),
                    kind,
                    identity: stated.identity(),
                    attributes: stated.attributes.clone(),
                    expires_at: created.plus(24 * hour),
                    idle: hour,
                    replaces: None,
                    replaces_version: None,
                    limit: None,
                    request: None,
                    by: "twin".into(),
                };
                store.create(new, created).await.unwrap();
            }
            sessions.push(stated);
        }
        Self {
            store: Arc::new(store),
            sessions: Arc::new(sessions),
        }
    }

    pub fn natives(&self) -> Natives {
        let odd: Arc<dyn NativeStrategy> = Arc::new(Odd(self.sessions.clone()));
        let check = |reads_session| Arc::new(Told { reads_session }) as Arc<dyn NativeCheck>;
        Natives {
            checks: [
                ("told".to_owned(), check(false)),
                ("told_of_session".to_owned(), check(true)),
            ]
            .into(),
            strategies: [("odd".to_owned(), odd)].into(),
        }
    }
}

/// The value of the attribute `told` of a call.
fn told(call: &Call) -> &[u8] {
    let told = call
        .attributes
        .iter()
        .find(|attribute| attribute.name == "told");
    told.map_or(b"", |told| &told.value)
}

/// A check that comes out as the call says.
#[derive(Debug)]
struct Told {
    reads_session: bool,
}

impl NativeCheck for Told {
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, String> {
        match told(facts.call) {
            b"down" => Err("it is down".into()),
            told => Ok(told == b"yes"),
        }
    }

    fn reads_session(&self) -> bool {
        self.reads_session
    }
}

/// A strategy that finds what the envelope says.
#[derive(Debug)]
struct Odd(Arc<Vec<Stated>>);

impl NativeStrategy for Odd {
    fn find(&self, call: &Call) -> NativeFound {
        let Some(credential) = call
            .credentials
            .iter()
            .find(|credential| credential.name == "odd")
        else {
            return NativeFound::Absent;
        };
        match std::str::from_utf8(&credential.value).unwrap() {
            "down" => NativeFound::Undetermined("it is down".into()),
            number => match self.0.get(number.parse::<usize>().unwrap()) {
                None => NativeFound::Rejected("unknown".into()),
                Some(stated) => NativeFound::Valid(Box::new(Session::new(
                    Origin::Static,
                    "odd".into(),
                    stated.identity(),
                    stated.attributes.clone(),
                    ScopeMatching::Hierarchical,
                ))),
            },
        }
    }
}

/// What a table has under an id: an outage, no row, or owner and count.
pub type Found = Result<Option<(Option<&'static str>, Option<i64>)>, ()>;

/// Looks an id up in a table.
pub fn row(table: &str, id: Option<&str>) -> Found {
    match (table, id) {
        ("down", _) | (_, Some("broken")) => Err(()),
        ("books", Some("a")) => Ok(Some((Some("u1"), Some(3)))),
        ("books", Some("b")) => Ok(Some((Some("u2"), None))),
        ("books", Some("u1")) => Ok(Some((Some("a"), Some(0)))),
        ("orders", Some("b")) => Ok(Some((None, Some(5)))),
        ("orders", Some("u2")) => Ok(Some((Some("u2"), Some(4)))),
        _ => Ok(None),
    }
}

/// The rows above, as a source of look-ups.
#[derive(Debug)]
pub struct Tables;

impl OpenSource for Tables {
    fn sqlite(&self, _: &Path) -> Result<Arc<dyn LookupSource>, String> {
        Ok(Arc::new(Self))
    }
}

#[async_trait]
impl LookupSource for Tables {
    fn describe(&self, _: &str) -> Result<Description, DescribeError> {
        Ok(Description {
            columns: vec![("owner".into(), Type::String), ("count".into(), Type::Int)],
            parameters: 1,
        })
    }

    async fn first_row(
        &self,
        sql: &str,
        args: &[Value],
    ) -> Result<Option<Vec<Value>>, LookupError> {
        let table = sql.split(' ').nth(4).unwrap();
        let id = match &args[0] {
            Value::Null => None,
            Value::String(id) => Some(&**id),
            other => panic!("the database was asked for {other:?}"),
        };
        let found = row(table, id).map_err(|()| LookupError("it is down".into()))?;
        Ok(found.map(|(owner, count)| {
            let owner = owner.map_or(Value::Null, |owner| Value::String(owner.into()));
            vec![owner, count.map_or(Value::Null, Value::Int)]
        }))
    }
}
