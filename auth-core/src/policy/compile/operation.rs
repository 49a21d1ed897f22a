//! Compiling operations: targets, data, and everything that must hold.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Faults,
    check::Checks,
    context::{Context, Fields, is_identifier, not_an_identifier, read_type},
    cors, idle, place,
    rule::{Rule, Slots, Spelling, Used, scopes},
    target::{Parsed, ParsedTarget, named_wires, targets},
};
use crate::{
    check::Check,
    cors::Cors,
    data::{Field, FieldSource},
    expression::Type,
    operation::{Applies, Attached, AttachedScopes, Operation},
    policy::{
        file::{Actors, CrossSite, DataFile, OperationFile, SessionNeed, WritesFile},
        scalar::At,
        source::Document,
    },
    wire::WireKind,
};

/// The data of an operation with its types: what it declares, and the parameters of its paths.
pub(super) fn declared_data(
    document: &Document,
    file: &At<OperationFile>,
    faults: &mut Faults,
) -> Vec<(String, Type)> {
    let mut data: BTreeMap<String, Type> = BTreeMap::new();
    for (name, field) in &file.data {
        if !is_identifier(name) {
            faults.error(document, field, &not_an_identifier(name));
            continue;
        }
        data.insert(name.clone(), read_type(document, &field.kind, faults));
    }
    // Faults of targets are reported once, by whoever builds the tables.
    for target in targets(document, file, &mut Faults::default()) {
        if let Parsed::Http(route) = &target.parsed {
            for name in route
                .pattern
                .parameters()
                .filter(|name| is_identifier(name))
            {
                data.entry(name.to_owned()).or_insert(Type::String);
            }
        }
    }
    data.into_iter().collect()
}

pub(super) fn compile(
    context: &Context<'_>,
    rules: &[Rule<'_>],
    checks: &Checks,
    fields: &Fields,
    used: &mut Used,
    faults: &mut Faults,
) -> Vec<Operation> {
    let app_cors = cors::of_app(context.own, faults);
    let mut operations = Vec::new();
    for (name, file) in &context.own.file.operations {
        if !is_identifier(name) {
            faults.error(context.own, file, &not_an_identifier(name));
        }
        let targets = targets(context.own, file, &mut Faults::default());
        refuse_odd_wires(context.own, file, faults);
        let named = file.http.len()
            + file.grpc.len()
            + named_wires(file)
                .iter()
                .map(|(_, names)| names.len())
                .sum::<usize>();
        if named == 0 {
            let message = format!("no wire reaches operation `{name}`");
            let help = "name a target, as `http: GET /books`, or leave the operation out";
            faults.error_help(context.own, file, &message, help);
        }
        idle::warn_of_operation(context.own, file, &targets, faults);
        let mut compiler = Compiler {
            context,
            rules,
            checks,
            fields,
            used,
            faults,
            name,
            file,
            app_cors: app_cors.as_ref(),
            targets,
        };
        operations.push(compiler.operation());
    }
    operations
}

fn refuse_odd_wires(document: &Document, file: &At<OperationFile>, faults: &mut Faults) {
    for (name, targets) in &file.custom {
        let at = targets
            .first()
            .map_or(file.with(()), |target| target.with(()));
        match WireKind::parse(name) {
            Some(WireKind::Custom(_)) => {}
            Some(built_in) => {
                let message =
                    format!("`{built_in}` is a wire of its own: write it without `custom`");
                faults.error(document, &at, &message);
            }
            None => {
                let message = format!("`{}` is no name of a wire", name.escape_debug());
                faults.error(document, &at, &message);
            }
        }
    }
}

struct Compiler<'a, 'd> {
    context: &'a Context<'d>,
    rules: &'a [Rule<'d>],
    checks: &'a Checks,
    fields: &'a Fields,
    used: &'a mut Used,
    faults: &'a mut Faults,
    name: &'d str,
    file: &'d At<OperationFile>,
    app_cors: Option<&'a Arc<Cors>>,
    targets: Vec<ParsedTarget<'d>>,
}

impl Compiler<'_, '_> {
    fn operation(&mut self) -> Operation {
        let mut slots = Slots(Vec::new());
        let (mut requirements, mut scopes) = self.attached_by_rules(&mut slots);
        let document = self.context.own;
        let own = Spelling {
            require: self.file.require.as_ref(),
            require_all: self.file.require_all.as_ref(),
            require_any: self.file.require_any.as_ref(),
        };
        let name = format!("operation {}", self.name);
        if let Some(own) = own.compile(&name, document, self.checks, &mut slots, self.faults) {
            requirements.push(Attached {
                requirement: own.requirement,
                applies: Applies::Always,
                place: own.place,
            });
        }
        let own_scopes = self::scopes(document, self.file.scopes.as_ref(), self.faults);
        if !own_scopes.is_empty() {
            scopes.push(AttachedScopes {
                scopes: own_scopes.into(),
                applies: Applies::Always,
            });
        }
        let (always, conditional): (Vec<_>, Vec<_>) = scopes
            .into_iter()
            .partition(|scopes| scopes.applies == Applies::Always);
        let mut always: Vec<String> = always
            .iter()
            .flat_map(|scopes| scopes.scopes.iter().cloned())
            .collect();
        always.sort();
        always.dedup();
        let operation = Operation {
            name: self.name.into(),
            session: self
                .file
                .session
                .as_ref()
                .map_or(SessionNeed::Required, |need| need.value),
            signs_in: self
                .file
                .writes
                .iter()
                .any(|write| write.value == WritesFile::SignIn),
            writes_attributes: self
                .file
                .writes
                .iter()
                .any(|write| write.value == WritesFile::Attributes),
            admits_actors: self.file.actors == Some(Actors::Allow),
            admits_cross_site: self
                .file
                .cross_site
                .as_ref()
                .is_some_and(|site| site.value == CrossSite::Allow),
            cors: self.cors(),
            tags: self.tags(),
            scopes: always.into(),
            conditional_scopes: conditional.into(),
            requirements: requirements.into(),
            checks: slots.0.into(),
            fields: self.fields().into(),
            place: place(document, self.file),
        };
        self.refuse_impossible(&operation);
        self.refuse_undeclared_data(&operation);
        operation
    }

    fn tags(&self) -> Box<[String]> {
        let mut tags: Vec<String> = self.file.tags.iter().map(|tag| tag.value.clone()).collect();
        tags.sort();
        tags.dedup();
        tags.into()
    }

    /// What it says itself of other origins, else what its app says.
    fn cors(&mut self) -> Option<Arc<Cors>> {
        match &self.file.cors {
            Some(own) => cors::compile(self.context.own, own, self.faults),
            None => self.app_cors.cloned(),
        }
    }

    /// What the rules attach, in the order in which refusals are named.
    fn attached_by_rules(&mut self, slots: &mut Slots) -> (Vec<Attached>, Vec<AttachedScopes>) {
        let mut matching: Vec<_> = self
            .rules
            .iter()
            .filter_map(|rule| {
                let file = &rule.file.value;
                let applies = rule
                    .selector
                    .applies(file.wire_only, self.file, &self.targets)?;
                Some((rule, applies))
            })
            .collect();
        matching.sort_by_key(|(rule, _)| rule.selector.rank());
        let (mut requirements, mut all_scopes) = (Vec::new(), Vec::new());
        for (rule, applies) in matching {
            self.used.note(rule);
            let spelling = Spelling {
                require: rule.file.require.as_ref(),
                require_all: rule.file.require_all.as_ref(),
                require_any: rule.file.require_any.as_ref(),
            };
            let compiled =
                spelling.compile(&rule.name, rule.document, self.checks, slots, self.faults);
            if let Some(compiled) = compiled {
                requirements.push(Attached {
                    requirement: compiled.requirement,
                    applies: applies.clone(),
                    place: compiled.place,
                });
            }
            let scopes = scopes(rule.document, rule.file.scopes.as_ref(), self.faults);
            if !scopes.is_empty() {
                all_scopes.push(AttachedScopes {
                    scopes: scopes.into(),
                    applies,
                });
            }
        }
        (requirements, all_scopes)
    }

    fn fields(&mut self) -> Vec<Field> {
        let document = self.context.own;
        let parameters: Vec<String> = self
            .targets
            .iter()
            .filter_map(|target| match &target.parsed {
                Parsed::Http(route) => Some(&route.pattern),
                _ => None,
            })
            .flat_map(|pattern| pattern.parameters().map(str::to_owned))
            .collect();
        let declared = declared_data(document, self.file, &mut Faults::default());
        let mut fields = Vec::new();
        for (name, kind) in declared {
            let Some(id) = self.fields.get(&name) else {
                continue;
            };
            let file = self.file.data.get(&name);
            let is_parameter = parameters.contains(&name);
            let http = match file.and_then(|file| file.http.as_ref()) {
                Some(source) => self.http_source(source, &parameters),
                None if is_parameter => FieldSource::Path(name.as_str().into()),
                None => FieldSource::Body(name.as_str().into()),
            };
            let elsewhere = file.map_or(Vec::new(), |file| paths(file));
            fields.push(Field {
                id: *id,
                name: name.into(),
                kind,
                http,
                elsewhere: elsewhere.into(),
            });
        }
        fields
    }

    fn http_source(&mut self, source: &At<String>, parameters: &[String]) -> FieldSource {
        match source.split_once('.') {
            Some(("path", name)) if parameters.iter().any(|known| known == name) => {
                return FieldSource::Path(name.into());
            }
            Some(("query", name)) if !name.is_empty() => return FieldSource::Query(name.into()),
            Some(("body", path)) if !path.is_empty() => return FieldSource::Body(path.into()),
            Some(("path", name)) => {
                let known = parameters.iter().map(String::as_str);
                self.faults
                    .unknown(self.context.own, source, "path parameter", name, known);
            }
            _ => self.faults.error_help(
                self.context.own,
                source,
                &format!("`{}` is no place of HTTP", source.escape_debug()),
                "write `path.NAME`, `query.NAME` or `body.PATH`",
            ),
        }
        FieldSource::Body("".into())
    }

    /// An operation that nobody could pass is a mistake (R3).
    fn refuse_impossible(&mut self, operation: &Operation) {
        let asks_scopes = !operation.scopes.is_empty();
        let needs_session = |slot: crate::requirement::Slot| {
            self.check(operation, slot)
                .is_some_and(Check::needs_session)
        };
        let blocked = operation.requirements.iter().find(|attached| {
            attached.applies == Applies::Always
                && attached
                    .requirement
                    .keys()
                    .iter()
                    .all(|key| key.checks().any(needs_session))
        });
        let refuses = blocked.map(|attached| attached.requirement.name().clone());
        let document = self.context.own;
        match operation.session {
            SessionNeed::Required => {}
            SessionNeed::Optional | SessionNeed::None if asks_scopes => {
                let message = format!(
                    "operation `{}` asks for scopes, which no anonymous caller has",
                    self.name
                );
                self.faults.error(document, self.file, &message);
            }
            SessionNeed::Optional | SessionNeed::None => {
                if let Some(requirement) = refuses {
                    let message = format!(
                        "no anonymous caller could pass operation `{}`: `{requirement}` needs a \
                         session",
                        self.name
                    );
                    let help =
                        "leave `session` out, or guard the check with `has(session.subject)`";
                    self.faults.error_help(document, self.file, &message, help);
                }
            }
        }
        if operation.session == SessionNeed::None
            && (operation.signs_in || operation.writes_attributes)
        {
            let message = format!(
                "operation `{}` writes a session it never looks for",
                self.name
            );
            let help = "write `session: optional`";
            self.faults.error_help(document, self.file, &message, help);
        }
    }

    /// A check may read only what the operation declares (R3).
    fn refuse_undeclared_data(&mut self, operation: &Operation) {
        for attached in &operation.requirements {
            for slot in attached
                .requirement
                .keys()
                .iter()
                .flat_map(|key| key.checks())
            {
                let Some(check) = self.check(operation, slot) else {
                    continue;
                };
                let missing = check
                    .fields()
                    .iter()
                    .find(|field| !operation.fields.iter().any(|own| own.id == **field));
                let Some(missing) = missing else { continue };
                let field = self.fields.iter().find(|(_, id)| *id == missing);
                let field = field.map_or("", |(name, _)| name.as_str()).to_owned();
                let check: Arc<str> = check.name().clone();
                let message = format!(
                    "check `{check}` reads `data.{field}`, which operation `{}` does not declare",
                    self.name
                );
                let help =
                    format!("add `data: {{ {field}: {{ type: string }} }}` to the operation");
                self.faults
                    .error_help(self.context.own, self.file, &message, &help);
            }
        }
    }

    fn check(&self, operation: &Operation, slot: crate::requirement::Slot) -> Option<&Check> {
        let index = operation.checks.get(usize::from(slot.0))?;
        self.checks.compiled.get(*index)
    }
}

/// Where the other wires have a field, as far as the file says.
fn paths(file: &DataFile) -> Vec<(Box<str>, Box<str>)> {
    [
        ("grpc", &file.grpc),
        ("websocket", &file.websocket),
        ("cli", &file.cli),
        ("mcp", &file.mcp),
        ("queue", &file.queue),
        ("schedule", &file.schedule),
        ("rpc", &file.rpc),
    ]
    .into_iter()
    .filter_map(|(wire, path)| {
        path.as_ref()
            .map(|path| (wire.into(), path.value.as_str().into()))
    })
    .collect()
}
