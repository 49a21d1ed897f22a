//! Compiling an app: its hosts, its names, and what reaches it.

use std::{collections::HashMap, sync::Arc};

use super::{
    Faults, Natives, Sources,
    check::{self, Checks},
    idle, operation, rule,
};
use crate::{
    authority::HostPattern,
    check::{Variable, Vocabulary},
    data::FieldId,
    expression::Type,
    operation::{App, Apps},
    policy::{file::PolicyFile, scalar::At, source::Document},
    principal::is_namespace,
    route::Router,
    wire::WireKind,
};

/// What the parts of an app are compiled with.
pub(super) struct Context<'d> {
    /// The main file.
    pub(super) main: &'d Document,
    /// The file of the app; the main file itself where it is an app.
    pub(super) own: &'d Document,
    /// The rules that apply, with their files: the main file's first.
    pub(super) rules: Vec<rule::Rule<'d>>,
    /// The sources.
    pub(super) sources: &'d Sources,
    /// What the program registered.
    pub(super) natives: &'d Natives,
}

impl<'d> Context<'d> {
    /// The files whose checks and claims the app may use: its own and the main one.
    pub(super) fn documents(&self) -> impl Iterator<Item = &'d Document> {
        let shared = (!std::ptr::eq(self.main, self.own)).then_some(self.main);
        std::iter::once(self.own).chain(shared)
    }
}

pub(super) fn compile(
    main: &Document,
    included: &[Document],
    sources: &Sources,
    natives: &Natives,
    faults: &mut Faults,
) -> Apps {
    let mut apps = Apps::default();
    let main_is_app = included.is_empty() || !main.file.operations.is_empty();
    if !main_is_app {
        idle::refuse_app_of_no_app(main, faults);
    }
    let own = main_is_app.then_some(main).into_iter().chain(included);
    let mut used = rule::Used::default();
    for document in own {
        let mut rules = rule::compile(main, faults);
        if !std::ptr::eq(main, document) {
            rules.extend(rule::compile(document, faults));
        }
        let context = Context {
            main,
            own: document,
            rules,
            sources,
            natives,
        };
        let app = compile_app(&context, &mut used, faults);
        register(&mut apps, app, document, faults);
    }
    for document in std::iter::once(main).chain(included) {
        used.warn_of_others(document, faults);
    }
    apps
}

fn compile_app(context: &Context<'_>, used: &mut rule::Used, faults: &mut Faults) -> App {
    let own = context.own;
    let name = app_name(own, faults);
    let mut vocabulary = Vocabulary::built_in();
    declare_facts(context, &mut vocabulary, faults);
    let fields = declare_data(own, &mut vocabulary, faults);
    let checks = check::compile(context, vocabulary, faults);
    let operations = operation::compile(context, &checks, &fields, used, faults);
    let Checks {
        compiled, lookups, ..
    } = checks;
    let (http, grpc, names) = reach(own, faults);
    App {
        name,
        exact_hosts: own
            .file
            .hosts
            .iter()
            .filter(|host| !host.contains('*'))
            .map(|host| host.value.clone())
            .collect(),
        operations,
        checks: compiled,
        lookups,
        http,
        grpc,
        names,
    }
}

fn app_name(document: &Document, faults: &mut Faults) -> Arc<str> {
    match &document.file.app {
        Some(name) if !is_namespace(name) => {
            faults.error_help(
                document,
                name,
                &format!("`{}` is no name of an app", name.escape_debug()),
                "write 1 to 64 lower-case letters, digits, `-`, `_` or `.`, starting with a letter",
            );
            "app".into()
        }
        Some(name) => name.value.as_str().into(),
        None => "app".into(),
    }
}

/// Declares claims and attributes, the app's own before the main file's.
fn declare_facts(context: &Context<'_>, vocabulary: &mut Vocabulary, faults: &mut Faults) {
    for document in context.documents() {
        let facts = [
            (
                "claims",
                &document.file.claims,
                Variable::Claim as fn(Box<str>) -> Variable,
            ),
            ("attributes", &document.file.attributes, Variable::Attribute),
        ];
        for (group, declared, variable) in facts {
            for (name, kind) in declared {
                if !is_identifier(name) {
                    faults.error(document, kind, &not_an_identifier(name));
                    continue;
                }
                let kind = read_type(document, kind, faults);
                vocabulary.declare(
                    &format!("session.{group}.{name}"),
                    kind,
                    variable(name.as_str().into()),
                );
            }
        }
    }
}

/// The names of data of an app.
pub(super) type Fields = HashMap<String, FieldId>;

/// Declares the data of all operations. A name with two types is read as whatever it is.
fn declare_data(document: &Document, vocabulary: &mut Vocabulary, faults: &mut Faults) -> Fields {
    let mut kinds: Vec<(String, Type)> = Vec::new();
    for operation in document.file.operations.values() {
        for (name, kind) in operation::declared_data(document, operation, faults) {
            match kinds.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if *known != kind => *known = Type::Dyn,
                Some(_) => {}
                None => kinds.push((name, kind)),
            }
        }
    }
    let mut fields = Fields::new();
    for (name, kind) in kinds {
        let Ok(index) = u16::try_from(fields.len()) else {
            break;
        };
        vocabulary.declare(
            &format!("data.{name}"),
            kind,
            Variable::Data(FieldId(index)),
        );
        fields.insert(name, FieldId(index));
    }
    fields
}

pub(super) fn read_type(document: &Document, kind: &At<String>, faults: &mut Faults) -> Type {
    kind.parse().unwrap_or_else(|_| {
        faults.error_help(
            document,
            kind,
            &format!("unknown type `{}`", kind.escape_debug()),
            "types are `string`, `int`, `double`, `bool`, `timestamp`, `duration`, `list(TYPE)` \
             and `map`",
        );
        Type::Dyn
    })
}

pub(super) fn is_identifier(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

pub(super) fn not_an_identifier(name: &str) -> String {
    format!(
        "`{}` is no identifier: letters, digits and `_`, not a digit first",
        name.escape_debug()
    )
}

type Tables = (
    Router<usize>,
    HashMap<Box<str>, usize>,
    HashMap<WireKind, HashMap<Box<str>, usize>>,
);

/// Builds the tables that lead from targets to operations.
fn reach(document: &Document, faults: &mut Faults) -> Tables {
    let mut routes = Vec::new();
    let mut places = Vec::new();
    let mut grpc = HashMap::new();
    let mut names: HashMap<WireKind, HashMap<Box<str>, usize>> = HashMap::new();
    for (index, file) in document.file.operations.values().enumerate() {
        for target in operation::targets(document, file, faults) {
            match target.parsed {
                operation::Parsed::Http(route) => {
                    routes.push((route.method, route.pattern, index));
                    places.push(target.at);
                }
                operation::Parsed::Grpc(path) => {
                    insert(&mut grpc, path, index, document, target.at, faults);
                }
                operation::Parsed::Name(kind, name) => {
                    let table = names.entry(kind).or_default();
                    insert(table, name, index, document, target.at, faults);
                }
            }
        }
    }
    let router = Router::new(routes).unwrap_or_else(|conflict| {
        if let Some(at) = places.get(conflict.rows.1) {
            faults.error(document, *at, &conflict.to_string());
        }
        Router::default()
    });
    (router, grpc, names)
}

fn insert(
    table: &mut HashMap<Box<str>, usize>,
    name: Box<str>,
    index: usize,
    document: &Document,
    at: &At<String>,
    faults: &mut Faults,
) {
    if let Some(other) = table.get(&name).filter(|other| **other != index) {
        let other = document
            .file
            .operations
            .keys()
            .nth(*other)
            .map_or("", String::as_str);
        faults.error(
            document,
            at,
            &format!("`{name}` reaches operation `{other}` already"),
        );
    }
    table.insert(name, index);
}

fn register(apps: &mut Apps, app: App, document: &Document, faults: &mut Faults) {
    let index = apps.all.len();
    let PolicyFile {
        hosts, app: name, ..
    } = &document.file;
    if let Some(twin) = apps.all.iter().find(|other| other.name == app.name) {
        let at = name.clone().unwrap_or_default();
        faults.error(
            document,
            &at,
            &format!("there are two apps named `{}`", twin.name),
        );
    }
    if hosts.is_empty() {
        if let Some(other) = apps.fallback.and_then(|index| apps.all.get(index)) {
            let at = name.clone().unwrap_or_default();
            let message = format!(
                "apps `{}` and `{}` both name no hosts",
                other.name, app.name
            );
            faults.error(document, &at, &message);
        }
        apps.fallback = Some(index);
    }
    for host in hosts {
        match HostPattern::parse(host) {
            Ok(pattern) => {
                if apps.hosts.insert(&pattern, index).is_err() {
                    let message = format!("host `{}` is named twice", host.value);
                    faults.error(document, host, &message);
                }
            }
            Err(err) => faults.error(document, host, &err.to_string()),
        }
    }
    apps.all.push(app);
}
