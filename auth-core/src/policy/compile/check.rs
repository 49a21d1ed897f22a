//! Compiling checks: their look-ups, then their expressions.

use std::collections::{BTreeMap, HashMap};

use super::{
    Faults, Natives,
    context::{Context, is_identifier, not_an_identifier},
};
use crate::{
    check::{Check, Lookup, Variable, Vocabulary},
    expression::{CompileError, Expression, Type},
    lookup::DescribeError,
    policy::{
        file::{CheckFile, DetailedCheckFile, LookupFile},
        scalar::At,
        source::Document,
    },
    requirement::Class,
};

/// The checks of an app.
pub(super) struct Checks {
    /// The checks.
    pub(super) compiled: Vec<Check>,
    /// Their places, by name.
    pub(super) by_name: HashMap<String, usize>,
    /// Their look-ups.
    pub(super) lookups: Vec<Lookup>,
    /// The names of all checks in the files, also of those that did not compile.
    pub(super) declared: Vec<String>,
}

pub(super) fn compile(
    context: &Context<'_>,
    vocabulary: Vocabulary,
    faults: &mut Faults,
) -> Checks {
    let mut checks = Checks {
        compiled: Vec::new(),
        by_name: HashMap::new(),
        lookups: Vec::new(),
        declared: Vec::new(),
    };
    for document in context.documents() {
        for (name, file) in &document.file.checks {
            if checks.declared.contains(name) {
                faults.error(document, file, &format!("check `{name}` is declared twice"));
                continue;
            }
            checks.declared.push(name.clone());
            if !is_identifier(name) {
                faults.error(document, file, &not_an_identifier(name));
                continue;
            }
            let mut compiler = Compiler {
                context,
                document,
                faults,
                lookups: &mut checks.lookups,
            };
            if let Some(check) = compiler.check(name, file, vocabulary.clone()) {
                checks.by_name.insert(name.clone(), checks.compiled.len());
                checks.compiled.push(check);
            }
        }
    }
    checks
}

struct Compiler<'a, 'd> {
    context: &'a Context<'d>,
    document: &'a Document,
    faults: &'a mut Faults,
    lookups: &'a mut Vec<Lookup>,
}

impl Compiler<'_, '_> {
    fn check(&mut self, name: &str, file: &At<CheckFile>, words: Vocabulary) -> Option<Check> {
        match &file.value {
            CheckFile::Expression(text) => {
                let expression = self.expression(&file.with(text.clone()), &words)?;
                Some(Check::expression(name.into(), expression, words, &[]))
            }
            CheckFile::Detailed(detailed) => self.detailed(name, file, detailed, words),
        }
    }

    fn detailed(
        &mut self,
        name: &str,
        at: &At<CheckFile>,
        file: &DetailedCheckFile,
        mut words: Vocabulary,
    ) -> Option<Check> {
        if let Some(native) = &file.native {
            return self.native(name, at, file, native);
        }
        let Some(when) = &file.when else {
            self.faults.error_help(
                self.document,
                at,
                &format!("check `{name}` has no `when`"),
                "write an expression over session, data and the looked-up rows",
            );
            return None;
        };
        let mut used = Vec::new();
        for (row, lookup) in &file.lookup {
            used.push(self.lookup(row, lookup, &when.value, &mut words)?);
        }
        let expression = self.expression(when, &words)?;
        let lookups: Vec<_> = used
            .iter()
            .filter_map(|index| self.lookups.get(*index).map(|lookup| (*index, lookup)))
            .collect();
        Some(Check::expression(name.into(), expression, words, &lookups))
    }

    fn native(
        &mut self,
        name: &str,
        at: &At<CheckFile>,
        file: &DetailedCheckFile,
        native: &At<String>,
    ) -> Option<Check> {
        if file.when.is_some() || !file.lookup.is_empty() {
            let message = "a `native` check has neither `when` nor `lookup`";
            self.faults.error(self.document, at, message);
        }
        let Natives { checks, .. } = self.context.natives;
        let Some(check) = checks.get(&native.value) else {
            let known = checks.keys().map(String::as_str);
            self.faults
                .unknown(self.document, native, "native check", native, known);
            return None;
        };
        Some(Check::native(name.into(), check.clone()))
    }

    /// Adds a look-up, or finds the same one again (R6), and declares its columns.
    fn lookup(
        &mut self,
        row: &str,
        file: &At<LookupFile>,
        when: &str,
        words: &mut Vocabulary,
    ) -> Option<usize> {
        if !is_identifier(row) || ["session", "data", "wire", "workload", "now"].contains(&row) {
            let message = format!("`{}` cannot be the name of a row", row.escape_debug());
            self.faults.error(self.document, file, &message);
            return None;
        }
        let mut lookup = self.compile_lookup(file, words)?;
        let columns = self.columns(row, file, &mut lookup, when)?;
        let same = |known: &Lookup| {
            known.source_name == lookup.source_name
                && known.sql == lookup.sql
                && known.args == lookup.args
        };
        let index = self.lookups.iter().position(same).unwrap_or_else(|| {
            self.lookups.push(lookup);
            self.lookups.len() - 1
        });
        for (column, (name, kind)) in columns.into_iter().enumerate() {
            let variable = Variable::Column {
                lookup: index,
                column,
            };
            words.declare(&format!("{row}.{name}"), kind, variable);
        }
        Some(index)
    }

    fn compile_lookup(&mut self, file: &At<LookupFile>, words: &Vocabulary) -> Option<Lookup> {
        let sources = &self.context.sources.0;
        let Some(source) = sources.get(&file.source.value) else {
            let known = sources.keys().map(String::as_str);
            self.faults
                .unknown(self.document, &file.source, "source", &file.source, known);
            return None;
        };
        let mut args = Vec::new();
        for arg in &file.args {
            match words.resolve(arg) {
                Some((variable, kind)) => args.push((variable.clone(), kind.clone())),
                None => {
                    self.faults
                        .unknown(self.document, arg, "name", arg, words.names());
                    return None;
                }
            }
        }
        Some(Lookup {
            source: source.clone()?,
            source_name: file.source.as_str().into(),
            sql: file.sql.as_str().into(),
            args: args.into(),
            is_checked: true,
        })
    }

    /// The columns of a look-up. When its source cannot be reached they are taken from what the
    /// expression reads, and a warning says that nothing was checked.
    fn columns(
        &mut self,
        row: &str,
        file: &At<LookupFile>,
        lookup: &mut Lookup,
        when: &str,
    ) -> Option<Vec<(String, Type)>> {
        match lookup.source.describe(&lookup.sql) {
            Ok(described) if described.parameters == lookup.args.len() => Some(described.columns),
            Ok(described) => {
                let message = format!(
                    "the query takes {} arguments, `args` has {}",
                    described.parameters,
                    lookup.args.len()
                );
                self.faults.error(self.document, &file.sql, &message);
                None
            }
            Err(DescribeError::Query(err)) => {
                self.faults.error(
                    self.document,
                    &file.sql,
                    &format!("the query is wrong: {err}"),
                );
                None
            }
            Err(DescribeError::Unreachable(err)) => {
                let message = format!(
                    "source `{}` cannot be reached, so its queries are not checked: {err}",
                    lookup.source_name
                );
                self.faults
                    .warnings
                    .push(self.document.error(&file.source, &message, None));
                lookup.is_checked = false;
                Some(read_columns(row, when))
            }
        }
    }

    fn expression(&mut self, text: &At<String>, words: &Vocabulary) -> Option<Expression> {
        match Expression::compile(text, &words.declarations) {
            Ok(expression) => Some(expression),
            Err(err) => {
                let diagnostic = expression_fault(self.document, text, &err);
                self.faults.errors.push(diagnostic);
                None
            }
        }
    }
}

/// Puts the place of a fault within an expression into its file: exactly where the expression
/// stands on one line of its own text, else at its start.
fn expression_fault(
    document: &Document,
    text: &At<String>,
    err: &CompileError,
) -> crate::policy::diagnostic::Diagnostic {
    let help = err.help().map(str::to_owned);
    let source = document
        .text
        .lines()
        .nth(text.line.saturating_sub(1))
        .unwrap_or_default();
    let start = text.column.saturating_sub(1);
    let behind: String = source.chars().skip(start).collect();
    // A quoted scalar starts one character before its text.
    let offset = [0, 1].into_iter().find(|quote| {
        let rest: String = behind.chars().skip(*quote).collect();
        !text.contains('\n') && rest.starts_with(text.as_str())
    });
    match offset {
        Some(quote) => document.error_at(
            text.line,
            text.column + quote + err.column().saturating_sub(1),
            err.length(),
            &err.to_string(),
            help,
        ),
        None => document.error(text, &err.to_string(), help),
    }
}

/// The columns that an expression reads of a row, of unknown types.
fn read_columns(row: &str, when: &str) -> Vec<(String, Type)> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut columns = BTreeMap::new();
    for (at, _) in when.match_indices(&format!("{row}.")) {
        let before = when.get(..at).and_then(|text| text.chars().next_back());
        let behind = when.get(at + row.len() + 1..).unwrap_or_default();
        let name: String = behind.chars().take_while(|c| word(*c)).collect();
        if !name.is_empty() && !before.is_some_and(|c| word(c) || c == '.') {
            columns.insert(name, Type::Dyn);
        }
    }
    columns.into_iter().collect()
}

impl Checks {
    /// The place and class of a check; `None`, with a fault, when there is none of this name.
    pub(super) fn find(
        &self,
        document: &Document,
        name: &At<String>,
        faults: &mut Faults,
    ) -> Option<(usize, Class)> {
        if let Some(index) = self.by_name.get(&name.value) {
            return self
                .compiled
                .get(*index)
                .map(|check| (*index, check.class()));
        }
        // One that is declared but did not compile has its own fault already.
        if !self.declared.contains(&name.value) {
            let known = self.declared.iter().map(String::as_str);
            faults.unknown(document, name, "check", name, known);
        }
        None
    }
}
