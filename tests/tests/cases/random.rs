//! H-12: random calls get one answer, whatever way they are asked. The library's is the measure.
//!
//! `SIDEGATE_SEED` and `SIDEGATE_RANDOM_CALLS` choose other calls and more of them.

use std::{collections::BTreeMap, env, fmt::Write as _, path::Path, sync::Arc};

use futures_util::future::join_all;
use harness::{
    cases::{self, CallFile, Case, CaseFile, Expect, Names},
    front::{Front, envoy::Form},
    story::{self, Answers},
};
use proptest::{
    collection::vec,
    option,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::{Value, json};
use sidecar::edge::forward_auth::Dialect;

use super::{Way, disagreements, front};

/// How many calls are made, and of which seed, where nobody says.
const CALLS: usize = 3000;
const SEED: u64 = 12;
/// How many are asked at a time.
const AT_ONCE: usize = 500;
/// How many `sidegate can` is asked, which starts anew for each.
const COMMANDS: usize = 40;
/// How often a call that shows a disagreement is made simpler.
const SHRINKS: usize = 400;

/// The ways that are compared with the library.
const WAYS: [Way; 10] = [
    Way::Grpc,
    Way::Json,
    Way::ForwardAuth(Dialect::Plain),
    Way::ForwardAuth(Dialect::Nginx),
    Way::ForwardAuth(Dialect::Traefik),
    Way::ForwardAuth(Dialect::Caddy),
    Way::Envoy(Form::Raw),
    Way::Envoy(Form::Joined),
    Way::Proxy,
    Way::CommandLine,
];

/// Methods and paths of the policy, and some that it does not have.
const ROUTES: [(&str, &str); 58] = [
    ("GET", "/me"),
    ("GET", "/open"),
    ("POST", "/open"),
    ("GET", "/"),
    ("GET", "/either"),
    ("POST", "/either"),
    ("POST", "/theme"),
    ("PUT", "/theme"),
    ("POST", "/login"),
    ("GET", "/callback"),
    ("POST", "/shared"),
    ("POST", "/strict"),
    ("GET", "/admin"),
    ("GET", "/admin/users"),
    ("GET", "/admin/reports/today"),
    ("GET", "/administrators"),
    ("GET", "/staff/one"),
    ("GET", "/staff"),
    ("GET", "/scoped"),
    ("GET", "/tagged"),
    ("DELETE", "/tagged"),
    ("GET", "/red"),
    ("GET", "/books/b1"),
    ("GET", "/books/b2"),
    ("GET", "/books/b9"),
    ("DELETE", "/books/b1"),
    ("DELETE", "/books/%62%31"),
    ("GET", "/books/best"),
    ("GET", "/books/b1/pages"),
    ("PATCH", "/books/b1/pages"),
    ("GET", "/files"),
    ("GET", "/files/a"),
    ("GET", "/files/a/b/c"),
    ("GET", "/files/"),
    ("GET", "/by-query?id=b1"),
    ("GET", "/by-query?id=b2"),
    ("GET", "/by-query"),
    ("GET", "/count?count=9"),
    ("GET", "/count?count=10"),
    ("GET", "/count?count=+9"),
    ("POST", "/order"),
    ("POST", "/note"),
    ("PUT", "/note"),
    ("GET", "/broken/b1"),
    ("GET", "/broken/b2"),
    ("GET", "/shaky/b1"),
    ("GET", "/any"),
    ("PURGE", "/any"),
    ("OPTIONS", "/any"),
    ("GET", "/only-books"),
    ("GET", "/socket"),
    ("GET", "/partner"),
    ("PUT", "/partner"),
    ("OPTIONS", "/partner"),
    ("OPTIONS", "/own"),
    ("OPTIONS", "/theme"),
    ("GET", "/nowhere"),
    ("POST", "/me"),
];

const METHODS: [&str; 12] = [
    "GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE", "get", "G-T", "ANY",
    "CONNECT",
];

/// What is made of a path, where `{}` is it.
const TWISTS: [&str; 34] = [
    "{}",
    "{}/",
    "/{}",
    "{}//",
    "{}/.",
    "{}/..",
    "/open/..{}",
    "/./{}",
    "{}/%2e%2e",
    "{}%2F",
    "{}%5C",
    "{}\\",
    "{};a=b",
    "{}%3Bx",
    "{}%00",
    "{}%25",
    "{}%",
    "{}%zz",
    "{}%ff",
    "{}%C3%A9",
    "{}\u{e9}",
    "{}#x",
    "{}?",
    "{}?x",
    "{}?x=%00",
    "{}?x=/admin",
    "{}%3Fx",
    "{}x",
    "x{}",
    "http://books.example{}",
    "*",
    "{}<x>",
    "{}%20",
    "{}/b1",
];

const QUERIES: [&str; 13] = [
    "x=1",
    "id=b1",
    "id=b2",
    "id=%62%31",
    "count=9",
    "count=nine",
    "key=none",
    "key=${key}",
    "key=${weak_key}",
    "KEY=${key}",
    "key=",
    "access_token=${app}",
    "x=1;id=b1",
];

/// Targets of the other wires, by wire.
const NAMES: [(&str, &str); 25] = [
    ("grpc", "shop.Users/Me"),
    ("grpc", "shop.Users/Theme"),
    ("grpc", "shop.Users/Login"),
    ("grpc", "shop.Books/Either"),
    ("grpc", "shop.Books/Scoped"),
    ("grpc", "shop.Books/Nothing"),
    ("grpc", "shop.books/scoped"),
    ("grpc", "shop.Books/Scoped/"),
    ("grpc", "shop.Books"),
    ("grpc", "//shop.Books/Scoped"),
    ("websocket", "me"),
    ("websocket", "either"),
    ("mcp", "me"),
    ("mcp", "open"),
    ("mcp", "admin"),
    ("mcp", "staff"),
    ("mcp", "book"),
    ("mcp", "count"),
    ("mcp", " me"),
    ("cli", "me"),
    ("queue", "order"),
    ("queue", "tagged"),
    ("schedule", "reports"),
    ("rpc", "note"),
    ("fax", "red"),
];

const HOSTS: [&str; 13] = [
    "books.example",
    "Books.Example.:8443",
    "one.shops.example",
    "a.b.shops.example",
    "shops.example",
    "books.example.",
    "evil.example",
    "evilbooks.example",
    "books.example.evil.test",
    "user@books.example",
    "books.example:0",
    "[::1]",
    "books..example",
];

const WHO: [&str; 21] = [
    "user",
    "admin",
    "member",
    "banned",
    "confused",
    "nobody",
    "second",
    "app",
    "admin_app",
    "foreign",
    "key",
    "weak_key",
    "expired",
    "idle",
    "revoked",
    "superseded",
    "replaced",
    "unknown",
    "dead_app",
    "revoked_key",
    "expired_key",
];

/// Credentials as they may stand.
const LITERALS: [(&str, &str); 33] = [
    ("cookie", "a=1"),
    ("cookie", "__Host-session=${user}"),
    ("cookie", "a=1; __Host-session=${admin}; b=2"),
    ("cookie", "__Host-session=${user}; __Host-session=${user}"),
    ("cookie", "__Host-session=${user}; __Host-session=x"),
    ("cookie", "__host-session=${user}"),
    ("cookie", "__Host-session=\"${user}\""),
    ("cookie", "__Host-session=${user}x"),
    ("cookie", "__Host-session="),
    ("cookie", "__Host-session"),
    ("cookie", "__Host-session=${app}"),
    ("cookie", "$Version=1; __Host-session=${user}"),
    ("cookie", "a=\"b; __Host-session=${user}; c=\""),
    ("cookie", "other=${second}"),
    ("cookie", "other=${user}"),
    ("cookie", "a=1, b=2"),
    ("authorization", "Bearer ${app}"),
    ("authorization", "bEARER ${app}"),
    ("authorization", "Bearer  ${app}"),
    ("authorization", "Bearer ${app}, Bearer ${app}"),
    ("authorization", "Bearer ${user}"),
    ("authorization", "Bearer ${key}"),
    ("authorization", "Bearer"),
    ("authorization", ""),
    ("authorization", "Basic dTpw"),
    ("authorization", "${app}"),
    (
        "authorization",
        "Bearer 0123456789abcdef0123456789abcdef0123456789abcdef",
    ),
    ("x-api-key", "${key}"),
    ("x-api-key", "${key},${key}"),
    ("x-api-key", "${app}"),
    ("x-api-key", ""),
    ("x-api-key", "x"),
    ("x-other-key", "${key}"),
];

/// Further facts as they may stand.
const FACTS: [(&str, &str); 17] = [
    ("sec-fetch-site", "same-origin"),
    ("sec-fetch-site", "same-site"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-site", "none"),
    ("sec-fetch-site", "Same-Origin"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-mode", "cors"),
    ("origin", "https://books.example"),
    ("origin", "https://web.example"),
    ("origin", "https://partner.example"),
    ("origin", "https://evil.example"),
    ("origin", "null"),
    ("access-control-request-method", "PUT"),
    ("access-control-request-method", "GET"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("upgrade", "websocket"),
];

/// Method and target of an HTTP call.
fn line() -> impl Strategy<Value = String> {
    let method = option::weighted(0.12, select(&METHODS[..]));
    let twist = prop_oneof![5 => Just(TWISTS[0]), 1 => select(&TWISTS[..])];
    let query = prop_oneof![
        7 => Just(vec![]),
        2 => vec(select(&QUERIES[..]), 0..3),
    ];
    (select(&ROUTES[..]), method, twist, query).prop_map(|(route, method, twist, query)| {
        let (own, path) = route;
        let mut target = twist.replace("{}", path);
        for parameter in query {
            let mark = if target.contains('?') { '&' } else { '?' };
            let _ = write!(target, "{mark}{parameter}");
        }
        format!("{} {target}", method.unwrap_or(own))
    })
}

/// The wire of a call, with nothing else.
fn wire() -> impl Strategy<Value = CallFile> {
    let http = line().prop_map(|line| CallFile {
        http: Some(line),
        ..CallFile::default()
    });
    let named = select(&NAMES[..]).prop_map(|(wire, name)| {
        let mut call = CallFile::default();
        let name = name.to_owned();
        match wire {
            "grpc" => {
                call.grpc = Some(name);
                // As the edges of gRPC say it, to whoever has a cookie.
                call.accepts = Some(vec!["cookie".to_owned()]);
            }
            "websocket" => call.websocket = Some(name),
            "mcp" => call.mcp = Some(name),
            "cli" => call.cli = Some(name),
            "queue" => call.queue = Some(name),
            "schedule" => call.schedule = Some(name),
            "rpc" => call.rpc = Some(name),
            custom => drop(call.custom.insert(custom.to_owned(), name)),
        }
        call
    });
    prop_oneof![9 => http, 1 => named]
}

/// The declared data. Most calls have none.
fn data() -> impl Strategy<Value = Option<Value>> {
    let pieces = select(vec![
        json!(9),
        json!(10),
        json!("9"),
        json!(9.5),
        Value::Null,
    ]);
    let gift = select(vec![json!(true), json!(false), json!("true")]);
    let note = select(vec![
        json!("abc"),
        json!("abcd"),
        json!(""),
        json!(7),
        json!(["a"]),
    ]);
    let fields = (option::of(pieces), option::of(gift), option::of(note));
    let fields = fields.prop_map(|(pieces, gift, note)| {
        let fields = [("pieces", pieces), ("gift", gift), ("note", note)];
        let fields = fields.into_iter();
        let there = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Value::Object(there.collect())
    });
    let book = select(vec![json!("b1"), json!("b2"), Value::Null]);
    let book = book.prop_map(|id| json!({ "book_id": id }));
    prop_oneof![
        6 => Just(None),
        3 => fields.prop_map(Some),
        1 => book.prop_map(Some),
    ]
}

/// A call. Every part shrinks towards nothing, or towards what is plain.
fn call() -> impl Strategy<Value = CallFile> {
    let host = prop_oneof![5 => Just(None), 1 => select(&HOSTS[..]).prop_map(Some)];
    let who = prop_oneof![
        2 => Just(vec![]),
        8 => vec(select(&WHO[..]), 1..2),
        1 => vec(select(&WHO[..]), 2..3),
    ];
    let literals = prop_oneof![
        5 => Just(vec![]),
        2 => vec(select(&LITERALS[..]), 1..3),
    ];
    let facts = prop_oneof![
        2 => Just(vec![]),
        4 => Just(vec![FACTS[0]]),
        1 => Just(vec![("origin", "https://web.example"), ("access-control-request-method", "PUT")]),
        3 => vec(select(&FACTS[..]), 1..4),
    ];
    let parts = (wire(), host, who, literals, facts, data());
    parts.prop_map(|(wire, host, who, literals, facts, data)| {
        let own = |(name, value): (&str, &str)| [(name.to_owned(), value.to_owned())].into();
        CallFile {
            host: host.map(str::to_owned),
            who: Names::Many(who.into_iter().map(str::to_owned).collect()),
            credentials: literals.into_iter().map(own).collect(),
            attributes: facts.into_iter().map(own).collect(),
            data,
            ..wire
        }
    })
}

/// The call as a case, which its own words name.
fn case(call: CallFile) -> Case {
    let (kind, method, target) = call.target();
    let mut name = format!("{}: {method} {target:?}", kind.as_str());
    let mut tell = |what: &str, told: String| {
        let _ = write!(name, ", {what} {told}");
    };
    if let Some(host) = &call.host {
        tell("host", host.clone());
    }
    if !call.who.list().is_empty() {
        tell("as", format!("{:?}", call.who.list()));
    }
    for (name, value) in call.credentials.iter().chain(&call.attributes).flatten() {
        tell(name, format!("{value:?}"));
    }
    if let Some(data) = &call.data {
        tell("data", data.to_string());
    }
    let not_on = left_out(&call, &method, &target);
    Case {
        name,
        call: Some(call),
        expect: None,
        steps: Vec::new(),
        not_on: not_on.into_iter().map(str::to_owned).collect(),
    }
}

/// Where a call means something else by the nature of the front.
fn left_out(call: &CallFile, method: &str, target: &str) -> Vec<&'static str> {
    let mut fronts = Vec::new();
    // The HTTP parser before the reverse proxy cuts off a fragment, so that neither the decision nor
    // the app sees it, and refuses what is no target, whatever else is wrong.
    if call.http.is_some() && (target.contains(['#', '<']) || !target.starts_with('/')) {
        fronts.push("proxy");
    }
    // It decides for whom it is told, and not for what stands in the target or for no subject.
    let who = call.who.list();
    if target.contains("key=") || who.iter().any(|name| name == "nobody") || method == "OPTIONS" {
        fronts.push("cli");
    }
    fronts
}

/// A front that is compared with the library, and how many calls it is still asked.
struct Other {
    way: Way,
    front: Arc<dyn Front>,
    left: usize,
}

impl Other {
    async fn new(way: Way, file: &CaseFile) -> Self {
        Self {
            way,
            front: front(way, file).await.into(),
            left: match way {
                Way::CommandLine => COMMANDS,
                _ => usize::MAX,
            },
        }
    }
}

/// What a front answers to these calls, as far as it carries them, and to no more than `most`.
async fn answers(front: Arc<dyn Front>, cases: Arc<[Case]>, most: usize) -> Vec<Option<Answers>> {
    let (mut answers, mut left) = (Vec::with_capacity(cases.len()), most);
    for case in &*cases {
        let answered = match left {
            0 => None,
            _ => answer(&*front, case).await,
        };
        left -= usize::from(answered.is_some());
        answers.push(answered);
    }
    answers
}

async fn answer(front: &dyn Front, case: &Case) -> Option<Answers> {
    let left_out = case.not_on.iter().any(|name| name == front.name());
    match left_out || !front.carries(case) {
        true => None,
        false => Some(story::run(front, case).await),
    }
}

fn expected(case: &Case, answers: &Answers) -> Case {
    let text = |fact: &str| answers[0].0.get(fact)?.as_str().map(str::to_owned);
    Case {
        expect: Some(Expect {
            outcome: text("outcome"),
            reason: text("reason"),
            ..Expect::default()
        }),
        ..case.clone()
    }
}

/// Where a front answers a call otherwise than the library; empty where it does not.
async fn told(library: &dyn Front, other: &dyn Front, call: CallFile) -> String {
    let mut told = String::new();
    let case = case(call);
    let Some(ours) = answer(library, &case).await else {
        return told;
    };
    let case = expected(&case, &ours);
    if let Some(theirs) = answer(other, &case).await {
        disagreements(&case, &ours, &theirs, &mut told);
    }
    told
}

/// Makes a call simpler as long as the two disagree; tells of the simplest.
async fn simplest<T>(library: &dyn Front, other: &dyn Front, mut tree: T) -> String
where
    T: ValueTree<Value = CallFile>,
{
    let mut last = told(library, other, tree.current()).await;
    let mut goes_on = tree.simplify();
    for _ in 0..SHRINKS {
        if !goes_on {
            break;
        }
        let now = told(library, other, tree.current()).await;
        goes_on = if now.is_empty() {
            tree.complicate()
        } else {
            last = now;
            tree.simplify()
        };
    }
    last
}

/// The calls with what the library answers, as what they expect: some fronts ask that.
async fn measured(library: &Arc<dyn Front>, cases: Vec<Case>) -> (Arc<[Case]>, Vec<Answers>) {
    let cases: Arc<[Case]> = cases.into();
    let ours = answers(Arc::clone(library), Arc::clone(&cases), usize::MAX).await;
    let ours: Vec<_> = ours.into_iter().map(Option::unwrap).collect();
    let expected = cases
        .iter()
        .zip(&ours)
        .map(|(case, ours)| expected(case, ours));
    (expected.collect(), ours)
}

/// The choices of a seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    TestRunner::new_with_rng(Config::default(), random)
}

/// A number that the environment may set.
fn number(name: &str, default: u64) -> u64 {
    let set = env::var(name).ok();
    set.map_or(default, |set| {
        let number = set.parse();
        number.unwrap_or_else(|_| panic!("{name}={set} is no number"))
    })
}

fn world() -> CaseFile {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    cases::load(&folder.join("tests/cases/random.yaml"))
}

/// What was seen: a run that saw little would prove little.
#[derive(Debug, Default)]
struct Tally {
    outcomes: BTreeMap<String, usize>,
    reasons: BTreeMap<String, usize>,
    operations: BTreeMap<String, usize>,
    carried: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, answers: &Answers) {
        let (observed, _) = &answers[0];
        for (counts, fact) in [
            (&mut self.outcomes, "outcome"),
            (&mut self.reasons, "reason"),
            (&mut self.operations, "operation"),
        ] {
            let name = observed[fact].as_str().unwrap_or_default();
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// Holds that every kind of answer was seen, as often as this many calls make likely.
    fn is_rich(&self, calls: usize) {
        for (outcome, least) in [
            ("allow", 180),
            ("deny", 200),
            ("unauthenticated", 80),
            ("invalid", 120),
            ("undetermined", 5),
        ] {
            let seen = self.outcomes.get(outcome).copied().unwrap_or_default();
            assert!(1000 * seen >= least * calls, "{outcome}: {self:#?}");
        }
        assert!(self.reasons.len() >= 11, "{self:#?}");
        assert!(self.operations.len() >= 30, "{self:#?}");
        for (way, seen) in &self.carried {
            let least = match way.as_str() {
                "CommandLine" => COMMANDS,
                _ => calls / 3,
            };
            assert!(*seen >= least, "{way}: {self:#?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_all_fronts_agree_on_random_calls() {
    let calls = usize::try_from(number("SIDEGATE_RANDOM_CALLS", CALLS as u64)).unwrap();
    let seed = number("SIDEGATE_SEED", SEED);
    let file = world();
    let library: Arc<dyn Front> = front(Way::Library, &file).await.into();
    let mut others = Vec::new();
    for way in WAYS {
        others.push(Other::new(way, &file).await);
    }
    let (strategy, mut runner) = (call(), runner(seed));
    let (mut tally, mut asked, mut found) = (Tally::default(), 0, Vec::new());
    while asked < calls && found.is_empty() {
        let trees = (0..AT_ONCE.min(calls - asked)).map(|_| strategy.new_tree(&mut runner));
        let mut trees: Vec<_> = trees.map(|tree| Some(tree.unwrap())).collect();
        asked += trees.len();
        let plain = trees.iter().flatten().map(|tree| case(tree.current()));
        let (cases, ours) = measured(&library, plain.collect()).await;
        ours.iter().for_each(|ours| tally.count(ours));
        let running = others.iter().map(|other| {
            let front = Arc::clone(&other.front);
            tokio::spawn(answers(front, Arc::clone(&cases), other.left))
        });
        let theirs = join_all(running).await;
        for (other, theirs) in others.iter_mut().zip(theirs) {
            let theirs = theirs.unwrap();
            let carried = theirs.iter().flatten().count();
            other.left -= carried;
            *tally.carried.entry(format!("{:?}", other.way)).or_default() += carried;
            for (index, theirs) in theirs.iter().enumerate() {
                let Some(theirs) = theirs else { continue };
                let mut told = String::new();
                disagreements(&cases[index], &ours[index], theirs, &mut told);
                if told.is_empty() {
                    continue;
                }
                if let Some(tree) = trees[index].take() {
                    let simple = simplest(&*library, &*other.front, tree).await;
                    let _ = write!(told, "at its simplest {simple}");
                }
                found.push(format!("{:?}: {told}", other.way));
            }
        }
    }
    assert!(
        found.is_empty(),
        "SIDEGATE_SEED={seed} SIDEGATE_RANDOM_CALLS={asked}\n{}",
        found.join("\n")
    );
    // Few calls, asked to look at a few, prove little and need not.
    if calls >= 1000 {
        tally.is_rich(calls);
    }
    println!("{tally:?}");
}
