//! Compiling rules: selectors, and the requirements behind them (R1).

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use super::{
    Faults,
    check::Checks,
    target::{Parsed, ParsedTarget},
};
use crate::{
    operation::{Applies, Place},
    policy::{
        file::{OneCheck, OperationFile, RuleFile, SelectorFile},
        scalar::{At, OneOrMany},
        source::Document,
    },
    requirement::{Class, Key, Requirement, Slot},
    route::{Covers, Pattern, Prefix},
    scope::is_scope,
    wire::WireKind,
};

/// A rule, read.
pub(super) struct Rule<'d> {
    /// The file that it stands in.
    pub(super) document: &'d Document,
    /// What the file says.
    pub(super) file: &'d At<RuleFile>,
    /// Its place among the rules of its file.
    pub(super) index: usize,
    /// Where it applies.
    pub(super) selector: Selector,
    /// Its name in reasons.
    pub(super) name: String,
}

/// Where a rule applies.
pub(super) enum Selector {
    /// On a kind of wire; `None` is all.
    Global(Option<WireKind>),
    /// Below a path.
    Prefix(Prefix),
    /// On operations with a tag.
    Tag(String),
}

impl Selector {
    /// The order in which refusals are named: global, prefix shortest first, tag.
    pub(super) fn rank(&self) -> (u8, usize) {
        match self {
            Self::Global(_) => (0, 0),
            Self::Prefix(prefix) => (1, prefix.depth()),
            Self::Tag(_) => (2, 0),
        }
    }

    /// On which calls of an operation the rule holds; `None` when on none.
    pub(super) fn applies(
        &self,
        wire_only: bool,
        operation: &OperationFile,
        targets: &[ParsedTarget<'_>],
    ) -> Option<Applies> {
        match self {
            Self::Global(None) => Some(Applies::Always),
            Self::Global(Some(kind)) => {
                targets
                    .iter()
                    .any(|target| target.kind() == *kind)
                    .then(|| {
                        if wire_only {
                            Applies::Wire(kind.clone())
                        } else {
                            Applies::Always
                        }
                    })
            }
            Self::Tag(tag) => operation
                .tags
                .iter()
                .any(|own| own.value == *tag)
                .then_some(Applies::Always),
            Self::Prefix(prefix) => below(prefix, wire_only, targets),
        }
    }
}

/// A prefix covers an operation when all paths of one of its targets are below it. When only some
/// are, the path of the call tells, and calls that have none are covered to be safe.
fn below(prefix: &Prefix, wire_only: bool, targets: &[ParsedTarget<'_>]) -> Option<Applies> {
    let relations = targets.iter().filter_map(|target| match &target.parsed {
        Parsed::Http(route) => Some((true, prefix.relation(&route.pattern))),
        Parsed::Grpc(path) => Pattern::parse(path)
            .ok()
            .map(|path| (false, prefix.relation(&path))),
        Parsed::Name(..) => None,
    });
    let mut strongest = None;
    let mut apart = false;
    for (is_http, relation) in relations {
        match relation {
            Covers::Covers if wire_only => {}
            Covers::Covers => return Some(Applies::Always),
            Covers::Overlaps => {}
            Covers::Apart => {
                apart |= is_http;
                continue;
            }
        }
        strongest = Some(Applies::Below {
            prefix: prefix.clone(),
            elsewhere: !wire_only,
        });
    }
    // Where another of its paths lies wholly outside, the path of a call there tells nothing of what
    // it is about, so the rule holds on all of them.
    match strongest {
        Some(Applies::Below {
            elsewhere: true, ..
        }) if apart => Some(Applies::Always),
        other => other,
    }
}

pub(super) fn compile<'d>(document: &'d Document, faults: &mut Faults) -> Vec<Rule<'d>> {
    let mut rules = Vec::new();
    for (index, file) in document.file.rules.iter().enumerate() {
        if let Some((selector, name)) = selector(document, &file.selector, faults) {
            if file.wire_only && matches!(selector, Selector::Tag(_) | Selector::Global(None)) {
                let message = "`wire_only` goes with a prefix or a kind of wire";
                faults.error(document, file, message);
            }
            if count(&[
                file.require.is_some(),
                file.require_all.is_some(),
                file.require_any.is_some(),
            ]) == 0
                && file.scopes.is_none()
            {
                let message = "the rule asks for nothing";
                let help = "write `require`, `require_all`, `require_any` or `scopes`";
                faults.error_help(document, file, message, help);
            }
            rules.push(Rule {
                document,
                file,
                index,
                selector,
                name,
            });
        }
    }
    rules
}

fn selector(
    document: &Document,
    file: &At<SelectorFile>,
    faults: &mut Faults,
) -> Option<(Selector, String)> {
    match (&file.global, &file.prefix, &file.tag) {
        (Some(global), None, None) if global.value == "all" => {
            Some((Selector::Global(None), "rule global all".into()))
        }
        (Some(global), None, None) => match WireKind::parse(global) {
            Some(kind) => {
                let name = format!("rule global {kind}");
                Some((Selector::Global(Some(kind)), name))
            }
            None => {
                let known = WireKind::BUILT_IN
                    .iter()
                    .map(WireKind::as_str)
                    .chain(["all"]);
                faults.unknown(document, global, "kind of wire", global, known);
                None
            }
        },
        (None, Some(prefix), None) => match Prefix::parse(prefix) {
            Ok(parsed) => Some((
                Selector::Prefix(parsed),
                format!("rule prefix {}", prefix.value),
            )),
            Err(err) => {
                faults.error(document, prefix, &err.to_string());
                None
            }
        },
        (None, None, Some(tag)) => Some((
            Selector::Tag(tag.value.clone()),
            format!("rule tag {}", tag.value),
        )),
        _ => {
            let message = "a rule matches by exactly one of `global`, `prefix` and `tag`";
            faults.error(document, file, message);
            None
        }
    }
}

/// The rules that some operation falls under, by their file and their place in it.
#[derive(Default)]
pub(super) struct Used(BTreeSet<(PathBuf, usize)>);

impl Used {
    pub(super) fn note(&mut self, rule: &Rule<'_>) {
        self.0.insert((rule.document.path.clone(), rule.index));
    }

    /// A rule that no operation of any app falls under is a mistake.
    pub(super) fn warn_of_others(&self, document: &Document, faults: &mut Faults) {
        for (index, file) in document.file.rules.iter().enumerate() {
            if !self.0.contains(&(document.path.clone(), index)) {
                let message = "this rule matches no operation";
                faults
                    .warnings
                    .push(document.error(&file.selector, message, None));
            }
        }
    }
}

fn count(flags: &[bool]) -> usize {
    flags.iter().filter(|flag| **flag).count()
}

/// The three spellings of a requirement, as a rule or an operation has them.
pub(super) struct Spelling<'d> {
    pub(super) require: Option<&'d At<OneCheck>>,
    pub(super) require_all: Option<&'d At<Vec<At<String>>>>,
    pub(super) require_any: Option<&'d At<BTreeMap<String, OneOrMany<String>>>>,
}

/// A requirement and the line it stands on.
pub(super) struct Compiled {
    pub(super) requirement: Requirement,
    pub(super) place: Place,
}

/// The slots of an operation: its distinct checks.
pub(super) struct Slots(pub(super) Vec<usize>);

impl Slots {
    fn slot(&mut self, check: usize) -> Option<Slot> {
        let index = self
            .0
            .iter()
            .position(|known| *known == check)
            .unwrap_or_else(|| {
                self.0.push(check);
                self.0.len() - 1
            });
        u8::try_from(index)
            .ok()
            .filter(|index| usize::from(*index) < crate::requirement::MAX_SLOTS)
            .map(Slot)
    }
}

impl Spelling<'_> {
    /// Compiles the requirement; `None` when none is asked for, or with a fault.
    pub(super) fn compile(
        &self,
        name: &str,
        document: &Document,
        checks: &Checks,
        slots: &mut Slots,
        faults: &mut Faults,
    ) -> Option<Compiled> {
        let place = |at: &At<()>| super::place(document, at);
        let mut compiler = Keys {
            document,
            checks,
            slots,
            faults,
        };
        let (keys, at) = match (self.require, self.require_all, self.require_any) {
            (None, None, None) => return None,
            (Some(one), None, None) => {
                let check = one.with(one.value.0.clone());
                (
                    vec![compiler.key(
                        &check.value,
                        std::slice::from_ref(&check),
                        &one.with(()),
                    )?],
                    one.with(()),
                )
            }
            (None, Some(all), None) => {
                (vec![compiler.key("all", all, &all.with(()))?], all.with(()))
            }
            (None, None, Some(any)) => {
                let keys: Vec<_> = any
                    .iter()
                    .map(|(name, checks)| compiler.key(name, checks, &any.with(())))
                    .collect::<Option<_>>()?;
                if keys.is_empty() {
                    faults.error(document, any, "an empty `require_any` can never hold");
                }
                (keys, any.with(()))
            }
            _ => {
                let at = self
                    .require
                    .map(|at| at.with(()))
                    .or(self.require_all.map(|at| at.with(())));
                let message = "write one of `require`, `require_all` and `require_any`";
                faults.error(document, &at.unwrap_or_default(), message);
                return None;
            }
        };
        let requirement = Requirement::new(name.into(), keys)?;
        Some(Compiled {
            requirement,
            place: place(&at),
        })
    }
}

struct Keys<'a> {
    document: &'a Document,
    checks: &'a Checks,
    slots: &'a mut Slots,
    faults: &'a mut Faults,
}

impl Keys<'_> {
    fn key(&mut self, name: &str, checks: &[At<String>], at: &At<()>) -> Option<Key> {
        if checks.is_empty() {
            let message = format!("the list of `{}` is empty", name.escape_debug());
            self.faults.error(self.document, at, &message);
            return None;
        }
        let mut list: Vec<(Slot, Class)> = Vec::new();
        for check in checks {
            let (index, class) = self.checks.find(self.document, check, self.faults)?;
            let Some(slot) = self.slots.slot(index) else {
                let message = "an operation uses at most 64 checks";
                self.faults.error(self.document, check, message);
                return None;
            };
            list.push((slot, class));
        }
        Key::new(name.into(), list)
    }
}

/// Reads a list of scopes; an empty or malformed one is a fault.
pub(super) fn scopes(
    document: &Document,
    file: Option<&At<Vec<At<String>>>>,
    faults: &mut Faults,
) -> Vec<String> {
    let Some(file) = file else { return Vec::new() };
    if file.is_empty() {
        faults.error(document, file, "an empty list of scopes asks for nothing");
    }
    for scope in file.iter().filter(|scope| !is_scope(scope)) {
        let message = format!(
            "`{}` is no scope (RFC 6749 section 3.3)",
            scope.escape_debug()
        );
        faults.error(document, scope, &message);
    }
    file.iter().map(|scope| scope.value.clone()).collect()
}
