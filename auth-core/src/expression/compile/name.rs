//! Names in expressions: what they stand for, and which was meant.

use cel::common::ast::{Expr, IdedExpr, LiteralValue, SelectExpr, operators};

use super::{CompileError, Compiler, Typed};
use crate::{
    expression::{Node, Root, Type, VariableId},
    suggest::did_you_mean,
};

impl Compiler<'_> {
    pub(super) fn name(&mut self, at: &IdedExpr, name: &str) -> Typed {
        if let Some(depth) = self.loops.iter().rev().position(|(local, _)| local == name) {
            let kind = self
                .loops
                .iter()
                .rev()
                .nth(depth)
                .map_or(Type::Dyn, |(_, kind)| kind.clone());
            return Ok((Node::Local(depth), kind));
        }
        self.variable(at, name)
    }

    pub(super) fn variable(&mut self, at: &IdedExpr, name: &str) -> Typed {
        match self.declarations.get(name) {
            Some((id, kind, root)) => {
                let kind = kind.clone();
                self.note(id, root, false);
                Ok((Node::Variable(id, kind.clone()), kind))
            }
            None => Err(self.undeclared(at, name)),
        }
    }

    fn note(&mut self, id: VariableId, root: Root, within_has: bool) {
        let entry = self.reads.entry(id).or_insert((true, root));
        entry.0 &= within_has;
    }

    fn undeclared(&self, at: &IdedExpr, name: &str) -> CompileError {
        if self.declarations.is_record(name) {
            return self
                .error(at, format!("`{name}` is a record, read one of its fields"))
                .with_help(format!("write `{name}.` and the name of a field"));
        }
        let error = self.error(at, format!("unknown name `{name}`"));
        let help = self
            .meant(name)
            .map(|meant| format!("did you mean `{meant}`?"))
            .or_else(|| {
                [
                    (
                        "session.claims.",
                        "declare it under `claims`, with its type",
                    ),
                    (
                        "session.attributes.",
                        "declare it under `attributes`, with its type",
                    ),
                    (
                        "data.",
                        "declare it under `data` of an operation, with its type",
                    ),
                ]
                .into_iter()
                .find(|(record, _)| name.starts_with(record))
                .map(|(_, help)| help.to_owned())
            });
        match help {
            Some(help) => error.with_help(help),
            None => error,
        }
    }

    /// The declared name that was meant: of the same record where that is known, else of any.
    fn meant(&self, name: &str) -> Option<String> {
        let (record, field) = name.rsplit_once('.').unwrap_or(("", name));
        if !self.declarations.is_record(record) {
            return did_you_mean(name, self.declarations.names()).map(str::to_owned);
        }
        let fields = self.declarations.names().filter_map(|known| {
            known
                .strip_prefix(record)?
                .strip_prefix('.')
                .filter(|rest| !rest.contains('.'))
        });
        did_you_mean(field, fields).map(|field| format!("{record}.{field}"))
    }

    /// The dotted name that an expression spells; `None` when it is none, or starts at a local.
    pub(super) fn dotted(&self, expr: &IdedExpr) -> Option<String> {
        match &expr.expr {
            Expr::Ident(name) => {
                (!self.loops.iter().any(|(local, _)| local == name)).then(|| name.clone())
            }
            Expr::Select(select) if !select.test => Some(format!(
                "{}.{}",
                self.dotted(&select.operand)?,
                select.field
            )),
            Expr::Call(call) if call.func_name == operators::INDEX => {
                let [record, key] = call.args.as_slice() else {
                    return None;
                };
                let Expr::Literal(LiteralValue::String(key)) = &key.expr else {
                    return None;
                };
                Some(format!("{}.{}", self.dotted(record)?, key.inner()))
            }
            _ => None,
        }
    }

    pub(super) fn select(&mut self, at: &IdedExpr, select: &SelectExpr) -> Typed {
        if let Some(record) = self.dotted(&select.operand) {
            let name = format!("{record}.{}", select.field);
            let is_map = matches!(
                self.declarations.get(&record),
                Some((_, Type::Map | Type::Dyn, _))
            );
            if !is_map {
                return self.field(at, &name, select.test);
            }
        }
        let (operand, kind) = self.node(&select.operand)?;
        if !kind.may_be(&Type::Map) {
            let message = format!("a value of type `{kind}` has no field `{}`", select.field);
            return Err(self.error(at, message));
        }
        let (operand, field) = (Box::new(operand), select.field.as_str().into());
        Ok(if select.test {
            (Node::HasMember(operand, field), Type::Bool)
        } else {
            (Node::Member(operand, field), Type::Dyn)
        })
    }

    fn field(&mut self, at: &IdedExpr, name: &str, test: bool) -> Typed {
        if !test {
            return self.variable(at, name);
        }
        match self.declarations.get(name) {
            Some((id, _, root)) => {
                self.note(id, root, true);
                Ok((Node::Has(id), Type::Bool))
            }
            None => Err(self.undeclared(at, name)),
        }
    }
}
