//! Compiling an app: its hosts, its names, and what reaches it.

use std::{collections::HashMap, sync::Arc};

use super::{
    Faults, Natives, Sources,
    check::{self, Checks},
    context::{Context, Fields, is_identifier, not_an_identifier, read_type},
    edges, idle, operation, rule, target,
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
            sources,
            natives,
        };
        let app = compile_app(&context, &rules, &mut used, faults);
        register(&mut apps, app, document, faults);
    }
    for document in std::iter::once(main).chain(included) {
        used.warn_of_others(document, faults);
    }
    apps
}

fn compile_app(
    context: &Context<'_>,
    rules: &[rule::Rule<'_>],
    used: &mut rule::Used,
    faults: &mut Faults,
) -> App {
    let own = context.own;
    let name = app_name(own, faults);
    let mut vocabulary = Vocabulary::built_in();
    declare_facts(context, &mut vocabulary, faults);
    let fields = declare_data(own, &mut vocabulary, faults);
    let checks = check::compile(context, vocabulary, faults);
    let operations = operation::compile(context, rules, &checks, &fields, used, faults);
    edges::check(context, &operations, &checks.compiled, faults);
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
        for target in target::targets(document, file, faults) {
            match target.parsed {
                target::Parsed::Http(route) => {
                    routes.push((route.method, route.pattern, index));
                    places.push(target.at);
                }
                target::Parsed::Grpc(path) => {
                    insert(&mut grpc, path, index, document, target.at, faults);
                }
                target::Parsed::Name(kind, name) => {
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
