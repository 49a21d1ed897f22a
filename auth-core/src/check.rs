//! Checks: named predicates over session, data, wire and look-ups, compiled.

use std::{collections::HashMap, fmt, sync::Arc};

use crate::{
    clock::Timestamp,
    data::{Data, FieldId},
    expression::{Bindings, Declarations, EvalError, Expression, Root, Type, VariableId},
    live::Session,
    lookup::LookupSource,
    requirement::{Class, Truth},
    value::{Val, Value},
    wire::Call,
};

/// Something that an expression can read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `session.subject`: the id of a local principal.
    SessionSubject,
    /// `session.principal`: `namespace/id`.
    SessionPrincipal,
    /// `session.actor`: who acts on the subject's behalf, `namespace/id`.
    SessionActor,
    /// `session.scopes`.
    SessionScopes,
    /// `session.auth_time`.
    SessionAuthTime,
    /// `session.acr`.
    SessionAcr,
    /// `session.amr`.
    SessionAmr,
    /// `session.strategy`: the name of the strategy that found it.
    SessionStrategy,
    /// `session.claims.NAME`.
    Claim(Box<str>),
    /// `session.attributes.NAME`.
    Attribute(Box<str>),
    /// `data.NAME`.
    Data(FieldId),
    /// `wire.kind`.
    WireKind,
    /// `wire.method`.
    WireMethod,
    /// `wire.path`: the canonical path or name.
    WirePath,
    /// `wire.host`: the authority, as the edge stated it.
    WireHost,
    /// `wire.peer_address`.
    WirePeerAddress,
    /// `workload.identity`: the verified identity of the peer.
    WorkloadIdentity,
    /// `now`.
    Now,
    /// A column of a looked-up row.
    Column {
        /// The look-up, by its place in the app.
        lookup: usize,
        /// The column, by its place in the query.
        column: usize,
    },
}

impl Variable {
    /// Whether reading it reads the session.
    #[must_use]
    pub const fn is_session(&self) -> bool {
        matches!(
            self,
            Self::SessionSubject
                | Self::SessionPrincipal
                | Self::SessionActor
                | Self::SessionScopes
                | Self::SessionAuthTime
                | Self::SessionAcr
                | Self::SessionAmr
                | Self::SessionStrategy
                | Self::Claim(_)
                | Self::Attribute(_)
        )
    }

    const fn root(&self) -> Root {
        match self {
            Self::Data(_) => Root::Data,
            Self::WireKind
            | Self::WireMethod
            | Self::WirePath
            | Self::WireHost
            | Self::WirePeerAddress => Root::Wire,
            Self::WorkloadIdentity => Root::Workload,
            Self::Now => Root::Now,
            Self::Column { lookup, .. } => Root::Lookup(*lookup),
            _ => Root::Session,
        }
    }
}

/// The names that expressions may use, and what they stand for.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// The names, for the compiler of expressions.
    pub declarations: Declarations,
    variables: Vec<Variable>,
    names: HashMap<String, (VariableId, Type)>,
}

impl Vocabulary {
    /// What every app has, but for claims, attributes and data.
    #[must_use]
    pub fn built_in() -> Self {
        let mut words = Self::default();
        let texts = || Type::List(Box::new(Type::String));
        for (name, kind, variable) in [
            ("session.subject", Type::String, Variable::SessionSubject),
            (
                "session.principal",
                Type::String,
                Variable::SessionPrincipal,
            ),
            ("session.actor", Type::String, Variable::SessionActor),
            ("session.scopes", texts(), Variable::SessionScopes),
            (
                "session.auth_time",
                Type::Timestamp,
                Variable::SessionAuthTime,
            ),
            ("session.acr", Type::String, Variable::SessionAcr),
            ("session.amr", texts(), Variable::SessionAmr),
            ("session.strategy", Type::String, Variable::SessionStrategy),
            ("wire.kind", Type::String, Variable::WireKind),
            ("wire.method", Type::String, Variable::WireMethod),
            ("wire.path", Type::String, Variable::WirePath),
            ("wire.host", Type::String, Variable::WireHost),
            ("wire.peer_address", Type::String, Variable::WirePeerAddress),
            (
                "workload.identity",
                Type::String,
                Variable::WorkloadIdentity,
            ),
            ("now", Type::Timestamp, Variable::Now),
        ] {
            words.declare(name, kind, variable);
        }
        words
    }

    /// Adds a name. One that is there already keeps its first meaning.
    pub fn declare(&mut self, name: &str, kind: Type, variable: Variable) {
        if self.names.contains_key(name) {
            return;
        }
        let id = self
            .declarations
            .declare(name, kind.clone(), variable.root());
        debug_assert_eq!(usize::try_from(id.0).ok(), Some(self.variables.len()));
        self.variables.push(variable);
        self.names.insert(name.to_owned(), (id, kind));
    }

    /// What a name stands for, and its type.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Option<(&Variable, &Type)> {
        let (id, kind) = self.names.get(name)?;
        Some((self.variable(*id)?, kind))
    }

    /// What a compiled expression reads by this id.
    #[must_use]
    pub fn variable(&self, id: VariableId) -> Option<&Variable> {
        usize::try_from(id.0)
            .ok()
            .and_then(|index| self.variables.get(index))
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    fn into_variables(self) -> Box<[Variable]> {
        self.variables.into()
    }
}

/// A row to look up.
#[derive(Clone, Debug)]
pub struct Lookup {
    /// Where.
    pub source: Arc<dyn LookupSource>,
    /// The name of the source, for logs.
    pub source_name: Arc<str>,
    /// The query.
    pub sql: Arc<str>,
    /// Its arguments, with the types that they are declared with.
    pub args: Box<[(Variable, Type)]>,
    /// Whether the query was checked when the policy was loaded. One that was not always fails: its
    /// columns are not known.
    pub is_checked: bool,
}

/// A check that a Rust program registered by name. It must not block.
pub trait NativeCheck: fmt::Debug + Send + Sync + 'static {
    /// Whether it holds; `Err` when a dependency failed, which is undetermined.
    ///
    /// # Errors
    ///
    /// Returns what failed, in words for the log.
    fn holds(&self, facts: &Facts<'_>) -> Result<bool, String>;

    /// Whether it reads the session: it is then false when there is none (R5).
    fn reads_session(&self) -> bool {
        true
    }
}

/// How a check is worked out.
#[derive(Clone, Debug)]
enum Body {
    Expression {
        expression: Expression,
        variables: Box<[Variable]>,
    },
    Native(Arc<dyn NativeCheck>),
}

/// A compiled check.
#[derive(Clone, Debug)]
pub struct Check {
    name: Arc<str>,
    body: Body,
    class: Class,
    lookups: Box<[usize]>,
    fields: Box<[FieldId]>,
    reads_session: bool,
    needs_session: bool,
    reads_workload: bool,
}

impl Check {
    /// A check of an expression over a vocabulary, with these look-ups behind it.
    #[must_use]
    pub fn expression(
        name: Arc<str>,
        expression: Expression,
        vocabulary: Vocabulary,
        lookups: &[(usize, &Lookup)],
    ) -> Self {
        let mut read: Vec<Variable> = expression
            .reads()
            .filter_map(|(id, _)| vocabulary.variable(id).cloned())
            .collect();
        let args = || {
            lookups
                .iter()
                .flat_map(|(_, lookup)| lookup.args.iter().map(|(arg, _)| arg))
        };
        // A look-up runs whatever the expression guards, so what it reads is never guarded.
        let needs_session =
            expression.reads_session_unguarded() || args().any(Variable::is_session);
        read.extend(args().cloned());
        let mut fields: Vec<_> = read
            .iter()
            .filter_map(|variable| match variable {
                Variable::Data(field) => Some(*field),
                _ => None,
            })
            .collect();
        fields.sort_unstable();
        fields.dedup();
        let class = match (lookups.is_empty(), fields.is_empty()) {
            (false, _) => Class::Lookup,
            (true, false) => Class::Data,
            (true, true) => Class::Session,
        };
        Self {
            name,
            class,
            lookups: lookups.iter().map(|(index, _)| *index).collect(),
            fields: fields.into(),
            reads_session: read.iter().any(Variable::is_session),
            needs_session,
            reads_workload: read.contains(&Variable::WorkloadIdentity),
            body: Body::Expression {
                expression,
                variables: vocabulary.into_variables(),
            },
        }
    }

    /// A check that a Rust program registered.
    #[must_use]
    pub fn native(name: Arc<str>, check: Arc<dyn NativeCheck>) -> Self {
        let reads_session = check.reads_session();
        Self {
            name,
            class: Class::Data,
            lookups: Box::default(),
            fields: Box::default(),
            reads_session,
            needs_session: reads_session,
            reads_workload: true,
            body: Body::Native(check),
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it needs.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The look-ups behind it, by their places in the app.
    #[must_use]
    pub fn lookups(&self) -> &[usize] {
        &self.lookups
    }

    /// The data it reads.
    #[must_use]
    pub fn fields(&self) -> &[FieldId] {
        &self.fields
    }

    /// Whether a Rust program works it out, which may read any of the operation's data.
    #[must_use]
    pub const fn is_native(&self) -> bool {
        matches!(self.body, Body::Native(_))
    }

    /// Whether it reads who the peer has proven to be; a native one may.
    #[must_use]
    pub const fn reads_workload(&self) -> bool {
        self.reads_workload
    }

    /// Whether it reads the session at all.
    #[must_use]
    pub const fn reads_session(&self) -> bool {
        self.reads_session
    }

    /// Whether it is false when there is no session (R5).
    #[must_use]
    pub const fn needs_session(&self) -> bool {
        self.needs_session
    }

    /// Its value; `None` while a look-up is missing.
    #[must_use]
    pub fn truth(&self, facts: &Facts<'_>) -> Option<Truth> {
        if self.needs_session && facts.session.is_none() {
            return Some(Truth::False);
        }
        if !self.lookups.is_empty() {
            let mut rows = self.lookups.iter().map(|index| facts.rows.get(*index));
            if rows
                .clone()
                .any(|row| matches!(row, None | Some(Row::Missing)))
            {
                return None;
            }
            if rows.any(|row| matches!(row, Some(Row::Invalid))) {
                return Some(Truth::False);
            }
        }
        Some(match &self.body {
            Body::Expression {
                expression,
                variables,
            } => match expression.evaluate(&Scope { facts, variables }) {
                Ok(true) => Truth::True,
                Err(EvalError::Unavailable) => Truth::Undetermined,
                Ok(false) | Err(_) => Truth::False,
            },
            Body::Native(check) => match check.holds(facts) {
                Ok(true) => Truth::True,
                Ok(false) => Truth::False,
                Err(_) => Truth::Undetermined,
            },
        })
    }

    /// Why its expression has no value, for explanations.
    #[must_use]
    pub fn error(&self, facts: &Facts<'_>) -> Option<EvalError> {
        match &self.body {
            Body::Expression {
                expression,
                variables,
            } => expression.evaluate(&Scope { facts, variables }).err(),
            Body::Native(_) => None,
        }
    }
}

/// What is known of a looked-up row.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Row {
    /// It was not looked up yet.
    #[default]
    Missing,
    /// The look-up failed.
    Failed,
    /// An argument was of a wrong type, so nothing was looked up: the check is false (R4).
    Invalid,
    /// It was looked up; `None` when there is no such row.
    Found(Option<Vec<Value>>),
}

/// All that checks can read about a call.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The session.
    pub session: Option<&'a Session>,
    /// The call.
    pub call: &'a Call,
    /// The canonical path or name.
    pub path: &'a str,
    /// The present instant.
    pub now: Timestamp,
    /// The data, once it was read.
    pub data: Option<&'a Data<'a>>,
    /// The looked-up rows, by their places in the app.
    pub rows: &'a [Row],
}

impl Facts<'_> {
    /// The value of a variable.
    ///
    /// # Errors
    ///
    /// Returns [`EvalError`] where there is none: no session, data that was cut, a failed look-up.
    pub fn value(&self, variable: &Variable) -> Result<Val<'_>, EvalError> {
        if let Some(text) = self.text(variable) {
            return Ok(Val::Str(text));
        }
        match variable {
            Variable::Data(field) => self.data.ok_or(EvalError::DataIncomplete)?.value(*field),
            Variable::WireKind
            | Variable::WireMethod
            | Variable::WirePath
            | Variable::WireHost
            | Variable::WirePeerAddress
            | Variable::WorkloadIdentity => Ok(Val::Null),
            Variable::Now => Ok(Val::Timestamp(self.now)),
            Variable::Column { lookup, column } => match self.rows.get(*lookup) {
                Some(Row::Found(Some(row))) => {
                    Ok(row.get(*column).map_or(Val::Null, Value::as_val))
                }
                Some(Row::Found(None)) => Ok(Val::Null),
                Some(Row::Invalid) => Err(EvalError::WrongType),
                Some(Row::Missing | Row::Failed) | None => Err(EvalError::Unavailable),
            },
            session => session_value(session, self.session.ok_or(EvalError::NoSession)?),
        }
    }

    /// The value of a variable, where it is a text.
    #[must_use]
    pub fn text(&self, variable: &Variable) -> Option<&str> {
        let call = self.call;
        match variable {
            Variable::Data(field) => self.data?.text(*field),
            Variable::WireKind => Some(call.kind.as_str()),
            Variable::WireMethod => stated(&call.method),
            Variable::WirePath => Some(self.path),
            Variable::WireHost => stated(&call.authority),
            Variable::WirePeerAddress => stated(&call.peer.address),
            Variable::WorkloadIdentity => stated(call.peer.proven_identity(self.now)),
            Variable::Now => None,
            Variable::Column { lookup, column } => match self.rows.get(*lookup) {
                Some(Row::Found(Some(row))) => row.get(*column)?.as_str(),
                _ => None,
            },
            session => session_text(session, self.session?),
        }
    }
}

fn session_text<'s>(variable: &Variable, session: &'s Session) -> Option<&'s str> {
    let identity = &session.identity;
    match variable {
        Variable::SessionSubject => {
            let subject = identity.subject.as_ref()?;
            subject.is_local().then(|| subject.id())
        }
        Variable::SessionPrincipal => session.principal(),
        Variable::SessionActor => session.actor(),
        Variable::SessionAcr => identity.acr.as_deref(),
        Variable::SessionStrategy => Some(&session.strategy),
        Variable::Claim(name) => session.claim(name)?.as_str(),
        Variable::Attribute(name) => session.attribute(name)?.as_str(),
        _ => None,
    }
}

/// What is no text in a session; see [`session_text`].
fn session_value<'s>(variable: &Variable, session: &'s Session) -> Result<Val<'s>, EvalError> {
    let identity = &session.identity;
    Ok(match variable {
        Variable::SessionSubject
        | Variable::SessionPrincipal
        | Variable::SessionActor
        | Variable::SessionAcr
        | Variable::SessionStrategy => Val::Null,
        Variable::SessionScopes => Val::List(session.scopes()),
        Variable::SessionAuthTime => identity.auth_time.map_or(Val::Null, Val::Timestamp),
        Variable::SessionAmr => Val::List(session.amr()),
        Variable::Claim(name) => session.claim(name).map_or(Val::Null, Value::as_val),
        Variable::Attribute(name) => session.attribute(name).map_or(Val::Null, Value::as_val),
        _ => return Err(EvalError::WrongType),
    })
}

/// A text that edges leave empty where they know none.
fn stated(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Lets an expression read facts.
struct Scope<'a, 'f> {
    facts: &'a Facts<'f>,
    variables: &'a [Variable],
}

impl Scope<'_, '_> {
    fn variable(&self, variable: VariableId) -> Option<&Variable> {
        let place = usize::try_from(variable.0).ok()?;
        self.variables.get(place)
    }
}

impl Bindings for Scope<'_, '_> {
    fn value(&self, variable: VariableId) -> Result<Val<'_>, EvalError> {
        let variable = self.variable(variable).ok_or(EvalError::WrongType)?;
        self.facts.value(variable)
    }

    fn text(&self, variable: VariableId) -> Option<&str> {
        self.facts.text(self.variable(variable)?)
    }
}
