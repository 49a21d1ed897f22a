//! Compiling strategies.

use std::{path::Path, sync::Arc, time::Duration};

use super::{
    DEFAULT_LIFETIME, Faults, Natives,
    context::{is_identifier, not_an_identifier},
    issuer,
};
use crate::{
    cookie::{Cookie, CookieAge},
    cross_site,
    policy::{
        file::{
            ApiKeyFile, BearerFile, CookieFile, CsrfFile, NativeStrategyFile, PeerFile, ScopesOf,
            StaticTokenFile, StrategyFile,
        },
        scalar::{At, Span},
        source::{Document, Files},
    },
    principal::{LOCAL_NAMESPACE, PEER_NAMESPACE, Principal, is_namespace},
    scope::is_scope,
    session::TokenHash,
    strategy::{
        ApiKeyStrategy, Bearer, CookieStrategy, Csrf, StaticToken, Strategies, Strategy,
        peer::{IdentityPattern, PeerStrategy},
    },
};

/// The shortest fixed token, in bytes.
const MIN_TOKEN_BYTES: usize = 32;

pub(super) fn compile(
    main: &Document,
    files: &dyn Files,
    natives: &Natives,
    asks_scopes: bool,
    faults: &mut Faults,
) -> Strategies {
    let Some(declared) = &main.file.strategies else {
        return default_strategies();
    };
    let lifetime = main
        .file
        .sessions
        .as_ref()
        .and_then(|sessions| sessions.lifetime)
        .map_or(DEFAULT_LIFETIME, |lifetime| lifetime.value.0);
    let mut compiler = Compiler {
        main,
        files,
        natives,
        asks_scopes,
        lifetime,
        faults,
    };
    let mut all: Vec<Strategy> = Vec::new();
    for file in declared {
        let Some(strategy) = compiler.strategy(file) else {
            continue;
        };
        if all.iter().any(|other| collide(other, &strategy)) {
            let message = format!("strategy `{}` is declared twice", strategy.name());
            compiler.faults.error(main, file, &message);
        } else if let Some((other, name)) = all
            .iter()
            .find_map(|other| Some((other, shared_cookie(other, &strategy)?)))
        {
            let message = format!(
                "strategies `{}` and `{}` would both set the cookie `{name}`",
                other.name(),
                strategy.name()
            );
            let help = "give one of them another, as `csrf: { cookie: NAME }`";
            compiler.faults.error_help(main, file, &message, help);
        }
        if let Some(namespace) = all
            .iter()
            .find_map(|other| shared_namespace(other, &strategy))
        {
            let message = format!(
                "an issuer and `peer` share the namespace `{namespace}`: the same name would be \
                 one principal"
            );
            compiler.faults.error(main, file, &message);
        }
        if let Some(other) = all.iter().find(|other| disagree(other, &strategy)) {
            let message = format!(
                "strategies `{}` and `{}` differ in `scopes`, but take the same credentials: a \
                 client could choose the one that gives more",
                other.name(),
                strategy.name()
            );
            compiler.faults.error(main, file, &message);
        }
        all.push(strategy);
    }
    Strategies { all: all.into() }
}

/// Opaque bearer tokens and the default cookie; both carry what the session was given.
fn default_strategies() -> Strategies {
    let scopes = ScopesOf::FromSession;
    let bearer = Bearer {
        opaque: true,
        tokens: Box::default(),
        issuers: None,
        scopes,
    };
    let cookie = CookieStrategy::new("cookie".into(), Cookie::default(), scopes);
    Strategies {
        all: [Strategy::Bearer(bearer), Strategy::Cookie(cookie)].into(),
    }
}

/// Whether two strategies take the same credentials and make different sessions of them: a value
/// is good under whichever name the client sends it.
fn disagree(one: &Strategy, other: &Strategy) -> bool {
    match (one, other) {
        (Strategy::ApiKey(one), Strategy::ApiKey(other)) => one.scopes != other.scopes,
        (Strategy::Cookie(one), Strategy::Cookie(other)) => one.scopes != other.scopes,
        _ => false,
    }
}

/// Whether two strategies look at the same place, so that one would never be asked.
fn collide(one: &Strategy, other: &Strategy) -> bool {
    match (one, other) {
        (Strategy::Bearer(_), Strategy::Bearer(_)) | (Strategy::Peer(_), Strategy::Peer(_)) => true,
        (Strategy::ApiKey(one), Strategy::ApiKey(other)) => one.header == other.header,
        (Strategy::Cookie(one), Strategy::Cookie(other)) => one.cookie.name == other.cookie.name,
        (Strategy::Native { name: one, .. }, Strategy::Native { name: other, .. }) => one == other,
        _ => false,
    }
}

/// The name of a cookie that two strategies of different ones would both set.
fn shared_cookie<'a>(one: &'a Strategy, other: &'a Strategy) -> Option<&'a str> {
    let (Strategy::Cookie(one), Strategy::Cookie(other)) = (one, other) else {
        return None;
    };
    let names = |strategy: &'a CookieStrategy| {
        let csrf = strategy.csrf.as_ref().map(|csrf| &*csrf.cookie.name);
        std::iter::once(&*strategy.cookie.name).chain(csrf)
    };
    names(one).find(|name| names(other).any(|own| own == *name))
}

/// The namespace that peers share with an issuer's principals, where they do (R23).
fn shared_namespace<'a>(one: &'a Strategy, other: &'a Strategy) -> Option<&'a str> {
    let (bearer, peer) = match (one, other) {
        (Strategy::Bearer(bearer), Strategy::Peer(peer))
        | (Strategy::Peer(peer), Strategy::Bearer(bearer)) => (bearer, peer),
        _ => return None,
    };
    let mut issuers = bearer.issuers.iter().flat_map(|all| all.traits.iter());
    issuers
        .any(|issuer| *issuer.namespace == *peer.namespace)
        .then_some(&*peer.namespace)
}

/// Whether a strategy may have this header of a request for itself.
fn is_free_header(name: &str) -> bool {
    const TAKEN: [&str; 3] = ["authorization", "cookie", "host"];
    let is_taken = |name: &str| TAKEN.contains(&name) || cross_site::ATTRIBUTES.contains(&name);
    let is_name = |name: &str| {
        let mut bytes = name.bytes();
        bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_short = (1..=64).contains(&name.len());
    is_short && is_name(name) && !is_taken(&name.to_ascii_lowercase())
}

struct Compiler<'a> {
    main: &'a Document,
    files: &'a dyn Files,
    natives: &'a Natives,
    asks_scopes: bool,
    lifetime: Duration,
    faults: &'a mut Faults,
}

impl Compiler<'_> {
    fn strategy(&mut self, file: &At<StrategyFile>) -> Option<Strategy> {
        match &file.value {
            StrategyFile::Bearer(bearer) => self.bearer(file, bearer),
            StrategyFile::ApiKey(key) => self.api_key(file, key),
            StrategyFile::Cookie(cookie) => self.cookie(file, cookie),
            StrategyFile::Native(native) => self.native(file, native),
            StrategyFile::Peer(peer) => self.peer(file, peer),
            StrategyFile::Connection(never) => match *never {},
        }
    }

    /// Each strategy says what its sessions carry, once scopes are asked for (R21).
    fn scopes(&mut self, at: &At<StrategyFile>, name: &str, scopes: Option<ScopesOf>) -> ScopesOf {
        if scopes.is_none() && self.asks_scopes {
            self.faults.error_help(
                self.main,
                at,
                &format!(
                    "operations ask for scopes, and strategy `{name}` does not say which its \
                     sessions carry"
                ),
                "write `scopes: from_session`, `scopes: none` or `scopes: all`",
            );
        }
        scopes.unwrap_or(ScopesOf::FromSession)
    }

    /// Sessions of our own store name their subjects themselves, so only `local` makes sense here.
    fn namespace(&mut self, namespace: Option<&At<String>>) {
        if let Some(namespace) = namespace.filter(|name| name.value != LOCAL_NAMESPACE) {
            self.faults.error_help(
                self.main,
                namespace,
                &format!(
                    "namespace `{}` cannot be set here",
                    namespace.escape_debug()
                ),
                "sessions of our own carry the namespace of their sign-in; issuers name theirs",
            );
        }
    }

    fn bearer(&mut self, at: &At<StrategyFile>, file: &BearerFile) -> Option<Strategy> {
        self.namespace(file.namespace.as_ref());
        let issuers = issuer::compile(self.main, &file.issuers, self.files, self.faults);
        let tokens: Vec<_> = file.tokens.iter().map(|token| self.token(token)).collect();
        let tokens: Vec<_> = tokens.into_iter().collect::<Option<_>>()?;
        let opaque = file.opaque.unwrap_or(true);
        if !opaque && tokens.is_empty() && file.issuers.is_empty() {
            let message = "strategy `bearer` accepts nothing";
            let help = "write `opaque: true`, `issuers` or `tokens`";
            self.faults.error_help(self.main, at, message, help);
        }
        let scopes = self.scopes(at, "bearer", file.scopes);
        Some(Strategy::Bearer(Bearer {
            opaque,
            tokens: tokens.into(),
            issuers,
            scopes,
        }))
    }

    fn token(&mut self, file: &At<StaticTokenFile>) -> Option<StaticToken> {
        let folder = self.main.path.parent().unwrap_or(Path::new(""));
        let secret = match self.files.read_secret(&folder.join(&file.token_file.value)) {
            Ok(secret) => secret,
            Err(err) => {
                let message = format!("`{}`: {err}", file.token_file.value);
                self.faults.error(self.main, &file.token_file, &message);
                return None;
            }
        };
        let secret = secret.trim_ascii_end();
        if secret.len() < MIN_TOKEN_BYTES || !secret.iter().all(u8::is_ascii_graphic) {
            self.faults.error_help(
                self.main,
                &file.token_file,
                "the token has fewer than 32 characters, or blanks",
                "make one with `openssl rand -hex 32`",
            );
            return None;
        }
        let subject: Principal = match file.subject.parse() {
            Ok(subject) => subject,
            Err(err) => {
                self.faults
                    .error(self.main, &file.subject, &format!("{err}"));
                return None;
            }
        };
        for scope in file.scopes.iter().filter(|scope| !is_scope(scope)) {
            let message = format!(
                "`{}` is no scope (RFC 6749 section 3.3)",
                scope.escape_debug()
            );
            self.faults.error(self.main, scope, &message);
        }
        Some(StaticToken {
            hash: TokenHash::of(secret),
            subject,
            scopes: file
                .scopes
                .iter()
                .map(|scope| scope.value.clone())
                .collect(),
            claims: file.claims.clone(),
        })
    }

    fn api_key(&mut self, at: &At<StrategyFile>, file: &ApiKeyFile) -> Option<Strategy> {
        let header = file
            .header
            .as_ref()
            .map_or("x-api-key", |header| header.as_str());
        if !is_free_header(header) {
            let message = format!(
                "`{}` cannot be the header of API keys",
                header.escape_debug()
            );
            self.faults.error(self.main, at, &message);
        }
        if let Some(query) = &file.query {
            if !is_identifier(query) {
                self.faults
                    .error(self.main, query, &not_an_identifier(query));
            }
            let message = "API keys in the query end up in logs, histories and referrers (RFC 6750 \
                 section 5.3): prefer the header";
            self.faults
                .warnings
                .push(self.main.error(query, message, None));
        }
        Some(Strategy::ApiKey(ApiKeyStrategy {
            header: header.to_ascii_lowercase().into(),
            query: file.query.as_ref().map(|query| query.as_str().into()),
            scopes: self.scopes(at, "api_key", file.scopes),
        }))
    }

    fn cookie(&mut self, at: &At<StrategyFile>, file: &CookieFile) -> Option<Strategy> {
        self.namespace(file.namespace.as_ref());
        let default = Cookie::default();
        let cookie = Cookie {
            name: file
                .name
                .as_ref()
                .map_or(default.name, |name| name.value.clone()),
            same_site: file
                .same_site
                .map_or(default.same_site, |same_site| same_site.value),
            secure: file.secure.is_none_or(|secure| secure.value),
            http_only: file.http_only.is_none_or(|http_only| http_only.value),
            path: file
                .path
                .as_ref()
                .map_or(default.path, |path| path.value.clone()),
            domain: file.domain.as_ref().map(|domain| domain.value.clone()),
            age: self.age(file.age.as_ref())?,
        };
        if let Err(err) = cookie.validate(self.lifetime) {
            self.faults.error(self.main, at, &err.to_string());
        }
        let name: Arc<str> = if cookie.name == Cookie::default().name {
            "cookie".into()
        } else {
            format!("cookie.{}", cookie.name).into()
        };
        let scopes = self.scopes(at, "cookie", file.scopes);
        let csrf = file.csrf.as_ref().map(|csrf| self.csrf(csrf, &cookie));
        let mut strategy = CookieStrategy::new(name, cookie, scopes);
        strategy.csrf = csrf.map(Box::new);
        Some(Strategy::Cookie(strategy))
    }

    fn csrf(&mut self, file: &At<CsrfFile>, session: &Cookie) -> Csrf {
        let default = match session.name.starts_with("__Host-") {
            true => "__Host-csrf",
            false => "csrf",
        };
        let cookie = Cookie {
            name: file
                .cookie
                .as_ref()
                .map_or_else(|| default.to_owned(), |name| name.value.clone()),
            // Scripts of own pages are to read it.
            http_only: false,
            ..session.clone()
        };
        let fault = match cookie.validate(self.lifetime) {
            Err(err) => Some(err.to_string()),
            Ok(()) if cookie.name == session.name => {
                Some("the CSRF token needs a cookie of its own, with another name".to_owned())
            }
            Ok(()) => None,
        };
        if let Some(message) = fault {
            match &file.cookie {
                Some(at) => self.faults.error(self.main, at, &message),
                None => self.faults.error(self.main, file, &message),
            }
        }
        let header = file
            .header
            .as_ref()
            .map_or("x-csrf-token", |header| header.as_str());
        if let Some(at) = file.header.as_ref().filter(|_| !is_free_header(header)) {
            let message = format!(
                "`{}` cannot be the header of CSRF tokens",
                header.escape_debug()
            );
            self.faults.error(self.main, at, &message);
        }
        Csrf::new(cookie, header)
    }

    fn age(&mut self, file: Option<&At<String>>) -> Option<CookieAge> {
        let Some(file) = file else {
            return Some(CookieAge::Lifetime);
        };
        match (file.as_str(), Span::parse(file)) {
            ("lifetime", _) => Some(CookieAge::Lifetime),
            ("browser", _) => Some(CookieAge::Browser),
            (_, Some(span)) => Some(CookieAge::Span(span.0)),
            (other, None) => {
                self.faults.error_help(
                    self.main,
                    file,
                    &format!("`{}` is no age of a cookie", other.escape_debug()),
                    "write `lifetime`, `browser` or a span of time, as `12h`",
                );
                None
            }
        }
    }

    fn peer(&mut self, at: &At<StrategyFile>, file: &PeerFile) -> Option<Strategy> {
        if file.scopes == Some(ScopesOf::FromSession) {
            let message = "strategy `peer` has no session that scopes could come from";
            let help = "write `scopes: none` or `scopes: all`";
            self.faults.error_help(self.main, at, message, help);
        }
        let namespace = match &file.namespace {
            None => PEER_NAMESPACE,
            Some(name) if !is_namespace(name) || name.value == LOCAL_NAMESPACE => {
                let name_text = name.escape_debug();
                let message = format!("`{name_text}` cannot be the namespace of peers");
                let help = "they are others than those who sign in here: name it, as `mesh`";
                self.faults.error_help(self.main, name, &message, help);
                return None;
            }
            Some(name) => name.as_str(),
        };
        Some(Strategy::Peer(PeerStrategy {
            namespace: namespace.into(),
            identities: match &file.identities {
                None => None,
                Some(all) => Some(self.identities(at, all)?),
            },
            scopes: self.scopes(at, "peer", file.scopes),
        }))
    }

    fn identities(
        &mut self,
        at: &At<StrategyFile>,
        texts: &[At<String>],
    ) -> Option<Box<[IdentityPattern]>> {
        if texts.is_empty() {
            let message = "`identities` is empty, so that `peer` signs nobody in";
            self.faults.error(self.main, at, message);
        }
        let read = |text: &At<String>| {
            let shown = text.escape_debug();
            let refused = |err| format!("`{shown}` is no pattern of identities: {err}");
            IdentityPattern::parse(text)
                .map_err(|err| self.faults.error(self.main, text, &refused(err)))
                .ok()
        };
        let patterns: Vec<_> = texts.iter().map(read).collect();
        patterns.into_iter().collect()
    }

    fn native(&mut self, at: &At<StrategyFile>, file: &NativeStrategyFile) -> Option<Strategy> {
        let Some(strategy) = self.natives.strategies.get(&file.name.value) else {
            let known = self.natives.strategies.keys().map(String::as_str);
            self.faults
                .unknown(self.main, &file.name, "native strategy", &file.name, known);
            return None;
        };
        let scopes = self.scopes(at, &file.name, file.scopes);
        let name = file.name.as_str().into();
        Some(Strategy::Native {
            name,
            strategy: strategy.clone(),
            scopes,
        })
    }
}
