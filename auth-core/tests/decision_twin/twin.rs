//! The rules of the design, evaluated slowly: every route, rule and check is looked at, one after
//! the other. Rule numbers are those of the design. Nothing here calls the code under test but for
//! the names of wires, outcomes and reasons.

use std::collections::BTreeSet;

use auth_core::{decision::ReasonCode, outcome::Outcome, wire::WireKind};

use super::{
    calls::{Asked, Shown},
    model::{App, Check, File, Operation, Place, Rule, Selector},
    routing::{Covered, app, canonical, covered, is_below, reached, root, segments},
    world::{self, Stated},
};

/// What the rules say about a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    pub outcome: Outcome,
    pub code: ReasonCode,
    pub operation: Option<String>,
    /// The requirement that a refusal names.
    pub requirement: Option<String>,
    /// All checks of that requirement that came to what the ruling says.
    pub checks: BTreeSet<String>,
    /// All scopes, where one is missing.
    pub scopes: BTreeSet<String>,
}

impl Ruling {
    pub fn new(outcome: Outcome, code: ReasonCode) -> Self {
        Self {
            outcome,
            code,
            operation: None,
            requirement: None,
            checks: BTreeSet::new(),
            scopes: BTreeSet::new(),
        }
    }
}

/// Decides a call.
pub fn decide(file: &File, sessions: &[Stated], asked: &Asked) -> Ruling {
    let unknown = || Ruling::new(Outcome::Deny, ReasonCode::UnknownOperation);
    let invalid = || Ruling::new(Outcome::Invalid, ReasonCode::TargetInvalid);
    let app = match app(file, asked.host) {
        Ok(Some(app)) => app,
        Ok(None) => return unknown(),
        Err(()) => return invalid(),
    };
    let Some(path) = canonical(&asked.kind, &asked.target) else {
        return invalid();
    };
    let Some((operation, target)) = reached(app, asked, &path) else {
        return unknown();
    };
    let hearing = Hearing {
        file,
        app,
        operation,
        target,
        path,
        asked,
    };
    let mut ruling = hearing.decide(sessions);
    ruling.operation = Some(operation.name.clone());
    ruling
}

/// A call that reached an operation.
pub struct Hearing<'f> {
    pub file: &'f File,
    pub app: &'f App,
    pub operation: &'f Operation,
    pub target: &'f str,
    pub path: String,
    pub asked: &'f Asked,
}

/// What a presented credential came to.
enum Known<'f> {
    Nobody,
    Rejected,
    Outage,
    Session(&'f Stated, &'static str),
}

impl<'f> Hearing<'f> {
    /// C-06, with Fetch-Metadata alone; nothing signs in here.
    fn is_from_another_site(&self) -> bool {
        let asked = self.asked;
        let declared = self.file.strategies.as_ref();
        let has_strategy = declared.is_none_or(|declared| {
            declared
                .iter()
                .any(|strategy| strategy.place == Place::Cookie)
        });
        asked.kind == WireKind::Http
            && asked.method != "GET"
            && has_strategy
            && !asked.cookies.is_empty()
            && match asked.site {
                None => !asked.advisory,
                Some(site) => site != "same-origin",
            }
    }

    fn decide(&self, sessions: &'f [Stated]) -> Ruling {
        let operation = self.operation;
        if self.is_from_another_site() {
            return Ruling::new(Outcome::Deny, ReasonCode::CrossSite);
        }
        let known = match operation.session {
            // R7: no store is touched.
            "none" => Known::Nobody,
            _ => match self.known(sessions) {
                Ok(known) => known,
                Err(()) => return Ruling::new(Outcome::Invalid, ReasonCode::CredentialConflict),
            },
        };
        let required = operation.session == "required";
        let (session, carries) = match known {
            Known::Outage => {
                return Ruling::new(Outcome::Undetermined, ReasonCode::IssuerUnavailable);
            }
            // R9: anonymous where that is allowed.
            Known::Rejected if required => {
                return Ruling::new(Outcome::Unauthenticated, ReasonCode::CredentialRejected);
            }
            Known::Rejected | Known::Nobody => (None, "none"),
            Known::Session(session, carries) => (Some(session), carries),
        };
        let is_signed_in = session.is_some_and(|session| session.subject.is_some());
        let no_session = || Ruling::new(Outcome::Unauthenticated, ReasonCode::SessionRequired);
        if required && !is_signed_in {
            return no_session();
        }
        // R23.
        if session.is_some_and(|session| session.has_actor) && !operation.admits_actors {
            return Ruling::new(Outcome::Deny, ReasonCode::ActorRefused);
        }
        // R21.
        let needed = self.scopes();
        let granted = |needed: &String| match (session, carries) {
            (Some(_), "all") => true,
            (Some(session), "from_session") => {
                session.scopes.iter().any(|granted| covers(granted, needed))
            }
            _ => false,
        };
        if !needed.iter().all(granted) {
            return match is_signed_in {
                true => Ruling {
                    scopes: needed,
                    ..Ruling::new(Outcome::Deny, ReasonCode::InsufficientScope)
                },
                false => no_session(),
            };
        }
        self.requirements(session, carries, is_signed_in)
    }

    /// R8: explicit credentials before ambient ones; two of them are an error.
    fn known(&self, sessions: &'f [Stated]) -> Result<Known<'f>, ()> {
        let asked = self.asked;
        // Where the file is silent, session tokens are taken as bearer tokens and cookies.
        let carried = |place| match &self.file.strategies {
            None => (place != Place::Envelope).then_some("from_session"),
            Some(all) => {
                let own = all.iter().find(|strategy| strategy.place == place);
                own.map(|strategy| strategy.scopes)
            }
        };
        let mut explicit = vec![];
        for (place, shown) in [
            (Place::Bearer, asked.bearers.clone()),
            (Place::Envelope, asked.envelope.into_iter().collect()),
        ] {
            if let Some(carries) = carried(place) {
                explicit.extend(shown.into_iter().map(|shown| (shown, carries)));
            }
        }
        let ambient: Vec<_> = match carried(Place::Cookie) {
            Some(carries) => asked
                .cookies
                .iter()
                .map(|shown| (*shown, carries))
                .collect(),
            None => vec![],
        };
        let decisive = if explicit.is_empty() {
            ambient
        } else {
            explicit
        };
        Ok(match &*decisive {
            [] => Known::Nobody,
            [(Shown::Down, _)] => Known::Outage,
            [(Shown::Of(number), carries)] if *number < world::LIVE => {
                Known::Session(&sessions[*number], carries)
            }
            // The envelope knows no end of sessions.
            [(Shown::Of(number), carries)]
                if asked.cookies.is_empty() && asked.bearers.is_empty() =>
            {
                match sessions.get(*number) {
                    Some(session) => Known::Session(session, carries),
                    None => Known::Rejected,
                }
            }
            [_] => Known::Rejected,
            _ => return Err(()),
        })
    }

    /// R1: the rules that hold on this call, in the order in which refusals are named (R2).
    pub fn rules(&self) -> Vec<&'f Rule> {
        let all = self.file.rules.iter().chain(&self.app.rules);
        let mut holding: Vec<_> = all.filter(|rule| self.holds(rule)).collect();
        holding.sort_by_key(|rule| match &rule.selector {
            Selector::Global(_) => (0, 0),
            Selector::Prefix(prefix) => (1, segments(root(prefix)).len()),
            Selector::Tag(_) => (2, 0),
        });
        holding
    }

    fn holds(&self, rule: &Rule) -> bool {
        let targets = &self.operation.targets;
        match &rule.selector {
            Selector::Global(None) => true,
            Selector::Global(Some(kind)) if rule.wire_only => *kind == self.asked.kind,
            Selector::Global(Some(kind)) => targets.iter().any(|(own, _)| own == kind),
            Selector::Tag(tag) => self.operation.tags.contains(tag),
            Selector::Prefix(prefix) => self.is_covered(prefix, rule.wire_only),
        }
    }

    /// Whether a prefix covers the call: by its own path, or because it covers another wire of the
    /// operation. A target of which only some paths are below tells by the path of the call; where
    /// that has none, or another path of the operation is elsewhere, all is covered.
    fn is_covered(&self, prefix: &str, wire_only: bool) -> bool {
        let has_path = matches!(self.asked.kind, WireKind::Http | WireKind::Grpc);
        if has_path && is_below(prefix, &self.path) {
            return true;
        }
        if wire_only {
            return false;
        }
        let of_kind = |wanted: WireKind| {
            let own = self.operation.targets.iter();
            own.filter(move |(kind, _)| *kind == wanted)
        };
        let mut http = of_kind(WireKind::Http)
            .filter_map(|(_, target)| Some(covered(prefix, target.split_once(' ')?.1)));
        let http: Vec<_> = http.by_ref().collect();
        let grpc =
            of_kind(WireKind::Grpc).any(|(_, target)| is_below(prefix, &format!("/{target}")));
        if grpc || http.contains(&Covered::All) {
            return true;
        }
        http.contains(&Covered::Some)
            && (self.asked.kind != WireKind::Http || http.contains(&Covered::None))
    }

    fn scopes(&self) -> BTreeSet<String> {
        let of_rules = self.rules().into_iter().flat_map(|rule| rule.scopes.iter());
        of_rules
            .chain(&self.operation.scopes)
            .map(ToString::to_string)
            .collect()
    }

    pub fn check(&self, name: &str) -> &'f Check {
        let mut all = self.file.checks.iter().chain(&self.app.checks);
        all.find(|check| check.name == name).unwrap()
    }
}

/// R21: a scope covers itself and its children.
fn covers(granted: &str, needed: &str) -> bool {
    let parent = granted.strip_suffix(":*").unwrap_or(granted);
    granted == needed || needed.starts_with(&format!("{parent}:"))
}
