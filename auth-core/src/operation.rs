//! Operations: pieces of the app's behaviour, and how calls find them (R7).

use std::{collections::HashMap, sync::Arc};

use crate::{
    authority::{Authority, Hosts},
    check::{Check, Lookup},
    cors::Cors,
    data::Field,
    policy::file::SessionNeed,
    requirement::Requirement,
    route::{self, Lookup as RouteLookup, Prefix, Router},
    target::{Target, parse_name},
    wire::{Call, MAX_TARGET_BYTES, WireKind},
};

/// A place in a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
}

/// On which calls of an operation something holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Applies {
    /// On all.
    Always,
    /// On those by this wire.
    Wire(WireKind),
    /// On those whose path is below the prefix; on other wires, whose calls have no path to tell,
    /// where `elsewhere` says so.
    Below {
        /// The prefix.
        prefix: Prefix,
        /// Whether it holds on the other wires too, since it matches one of the operation's (R1).
        elsewhere: bool,
    },
}

impl Applies {
    /// Whether it holds on a call by this wire to this canonical path.
    #[inline]
    #[must_use]
    pub fn to(&self, kind: &WireKind, path: &str) -> bool {
        match self {
            Self::Always => true,
            Self::Wire(wire) => wire == kind,
            Self::Below { prefix, elsewhere } => match kind {
                WireKind::Http => prefix.covers_path(path),
                WireKind::Grpc => *elsewhere || prefix.covers_path(path),
                _ => *elsewhere,
            },
        }
    }
}

/// A requirement attached to an operation.
#[derive(Clone, Debug)]
pub struct Attached {
    /// What must hold.
    pub requirement: Requirement,
    /// On which calls.
    pub applies: Applies,
    /// Where the file says so.
    pub place: Place,
}

/// Scopes attached to an operation.
#[derive(Clone, Debug)]
pub struct AttachedScopes {
    /// The scopes, all needed.
    pub scopes: Box<[String]>,
    /// On which calls.
    pub applies: Applies,
}

/// One piece of the app's behaviour, compiled.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its name.
    pub name: Arc<str>,
    /// Whether it needs a session.
    pub session: SessionNeed,
    /// Whether it may sign in.
    pub signs_in: bool,
    /// Whether it may change attributes.
    pub writes_attributes: bool,
    /// Whether somebody may act on the subject's behalf.
    pub admits_actors: bool,
    /// Whether other sites may have browsers call it.
    pub admits_cross_site: bool,
    /// Which pages of other origins may call it; none where it is left out.
    pub cors: Option<Arc<Cors>>,
    /// Its tags, each once, for rules and for what edges say of a route.
    pub tags: Box<[String]>,
    /// Scopes that hold on every call.
    pub scopes: Arc<[String]>,
    /// Scopes that hold on some calls only.
    pub conditional_scopes: Box<[AttachedScopes]>,
    /// What must hold: global first, then prefix, shortest first, then tag, then its own.
    pub requirements: Box<[Attached]>,
    /// The distinct checks of its requirements, by slot; their places in the app.
    pub checks: Box<[usize]>,
    /// The data that it declares.
    pub fields: Box<[Field]>,
    /// Where the file declares it.
    pub place: Place,
}

impl Operation {
    /// A check that a call on this kind of wire may depend on, with a field that it reads there from
    /// body or message (R24). `checks` are those of the app.
    #[must_use]
    pub fn data_check<'a>(
        &'a self,
        checks: &'a [Check],
        kind: &WireKind,
    ) -> Option<(&'a Check, &'a Field)> {
        self.checks_on(checks, kind).find_map(|check| {
            let mut fields = self.fields.iter();
            let reads = |field: &Field| check.is_native() || check.fields().contains(&field.id);
            let field = fields.find(|field| field.is_in_message(kind) && reads(field))?;
            Some((check, field))
        })
    }

    /// A check that a call on this kind of wire may depend on, and that reads who the peer has proven
    /// to be. A native check, which may read everything, is not counted. `checks` are those of the
    /// app.
    #[must_use]
    pub fn peer_check<'a>(&'a self, checks: &'a [Check], kind: &WireKind) -> Option<&'a Check> {
        self.checks_on(checks, kind)
            .find(|check| check.reads_workload() && !check.is_native())
    }

    /// The checks that a call on this kind of wire may depend on.
    fn checks_on<'a>(
        &'a self,
        checks: &'a [Check],
        kind: &WireKind,
    ) -> impl Iterator<Item = &'a Check> {
        let attached = self.requirements.iter();
        attached
            .filter(move |attached| match &attached.applies {
                Applies::Wire(wire) => wire == kind,
                Applies::Always | Applies::Below { .. } => true,
            })
            .flat_map(|attached| attached.requirement.keys())
            .flat_map(|key| key.checks())
            .filter_map(|slot| checks.get(*self.checks.get(usize::from(slot.0))?))
    }
}

/// An app: a team's operations and checks.
#[derive(Debug)]
pub struct App {
    /// Its name.
    pub name: Arc<str>,
    /// Its hosts without wildcards, as the file has them.
    pub exact_hosts: Vec<String>,
    /// Its operations.
    pub operations: Vec<Operation>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// Its look-ups.
    pub lookups: Vec<Lookup>,
    /// HTTP routes to operations.
    pub http: Router<usize>,
    /// gRPC paths to operations.
    pub grpc: HashMap<Box<str>, usize>,
    /// Names on the other wires to operations.
    pub names: HashMap<WireKind, HashMap<Box<str>, usize>>,
}

impl App {
    /// The operation of this name.
    #[must_use]
    pub fn operation(&self, name: &str) -> Option<&Operation> {
        self.operations
            .iter()
            .find(|operation| &*operation.name == name)
    }
}

/// Which app a call is for.
#[derive(Debug, Default)]
pub struct Apps {
    /// The apps.
    pub all: Vec<App>,
    /// Their hosts.
    pub hosts: Hosts<usize>,
    /// The app that takes every other host.
    pub fallback: Option<usize>,
}

/// The operation that a call reaches.
#[derive(Debug)]
pub struct Reached<'p, 'c> {
    /// The app.
    pub app: &'p App,
    /// The operation.
    pub operation: &'p Operation,
    /// The canonical target, where the wire has a path.
    pub target: Option<Target<'c>>,
    /// The canonical name, where the wire has none.
    name: &'c str,
}

impl Reached<'_, '_> {
    /// The canonical path, or the name on wires without one.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.as_ref().map_or(self.name, Target::path)
    }

    /// A parameter of the path.
    #[must_use]
    pub fn parameter<'t>(&'t self, method: &str, name: &str) -> Option<&'t str> {
        let target = self.target.as_ref()?;
        self.app
            .http
            .lookup(method, target.path())
            .found()?
            .parameter(name)
    }
}

/// Why a call reaches no operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreached {
    /// There is none (R7).
    Unknown,
    /// The target or host is malformed or ambiguous (H-01).
    Invalid(String),
}

impl Apps {
    /// Finds the operation of a call.
    ///
    /// # Errors
    ///
    /// Returns [`Unreached`] when the target is not acceptable or leads nowhere.
    pub fn reach<'p, 'c>(&'p self, call: &'c Call) -> Result<Reached<'p, 'c>, Unreached> {
        let invalid = |err: &dyn std::fmt::Display| Unreached::Invalid(err.to_string());
        if call.target.len() > MAX_TARGET_BYTES {
            return Err(Unreached::Invalid("target is longer than 8 KiB".into()));
        }
        let app = self.app(&call.authority)?;
        let raw = call.target.as_bytes();
        let (index, target, name) = match &call.kind {
            WireKind::Http => {
                // It asks for a tunnel to a host: whoever passes it on drops the path that was
                // decided on (RFC 9110 section 9.3.6).
                if call.method == route::CONNECT {
                    return Err(invalid(&route::MethodError::Tunnel));
                }
                let target = Target::parse(raw).map_err(|err| invalid(&err))?;
                let found = match app.http.lookup(&call.method, target.path()) {
                    RouteLookup::Found(found) => *found.value,
                    RouteLookup::OtherMethod | RouteLookup::Unknown => {
                        return Err(Unreached::Unknown);
                    }
                };
                (Some(found), Some(target), "")
            }
            WireKind::Grpc => {
                let target = Target::parse_grpc(raw).map_err(|err| invalid(&err))?;
                (app.grpc.get(target.path()).copied(), Some(target), "")
            }
            other => {
                let name = parse_name(raw).map_err(|err| invalid(&err))?;
                let table = app.names.get(other);
                (table.and_then(|names| names.get(name).copied()), None, name)
            }
        };
        let operation = index.and_then(|index| app.operations.get(index));
        let operation = operation.ok_or(Unreached::Unknown)?;
        Ok(Reached {
            app,
            operation,
            target,
            name,
        })
    }

    /// The app of a host. A caller that states none means the only app, or the one without hosts.
    fn app(&self, authority: &str) -> Result<&App, Unreached> {
        let index = if authority.is_empty() {
            match self.all.as_slice() {
                [_] => Some(0),
                _ => self.fallback,
            }
        } else {
            let authority = Authority::parse(authority.as_bytes())
                .map_err(|err| Unreached::Invalid(err.to_string()))?;
            self.hosts.get(&authority).copied().or(self.fallback)
        };
        index
            .and_then(|index| self.all.get(index))
            .ok_or(Unreached::Unknown)
    }
}
