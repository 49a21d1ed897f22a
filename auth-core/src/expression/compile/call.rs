//! Typing calls: operators and functions.

use cel::common::ast::{CallExpr, IdedExpr, operators};

use super::{CompileError, Compiler, Typed};
use crate::{
    expression::{Arithmetic, Comparison, Conversion, Node, TextChange, TextTest, Type, evaluate},
    suggest::did_you_mean,
    value::Value,
};

impl Compiler<'_> {
    pub(super) fn call(&mut self, at: &IdedExpr, call: &CallExpr) -> Typed {
        let args: Vec<&IdedExpr> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::LOGICAL_NOT, [operand]) => Ok((
                Node::Not(Box::new(self.operand(operand, &Type::Bool)?)),
                Type::Bool,
            )),
            (operators::LOGICAL_AND, [left, right]) => {
                Ok((Node::And(self.pair(left, right, &Type::Bool)?), Type::Bool))
            }
            (operators::LOGICAL_OR, [left, right]) => {
                Ok((Node::Or(self.pair(left, right, &Type::Bool)?), Type::Bool))
            }
            (operators::CONDITIONAL, [condition, then, otherwise]) => {
                self.conditional(condition, then, otherwise)
            }
            (operators::IN, [needle, list]) => self.is_in(needle, list),
            (operators::INDEX, [..]) => match self.dotted(at) {
                Some(name) => self.variable(at, &name),
                None => Err(self.unsupported(at, "an index")),
            },
            (operators::NEGATE, [operand]) => self.negate(operand),
            ("size", [operand]) => self.size(operand),
            (name, [left, right]) => match (comparison(name), arithmetic(name), text_test(name)) {
                (Some(comparison), ..) => self.comparison(at, comparison, left, right),
                (_, Some(operation), _) => self.arithmetic(at, operation, left, right),
                (.., Some(test)) if call.target.is_some() => Ok((
                    Node::Text(test, self.pair(left, right, &Type::String)?),
                    Type::Bool,
                )),
                _ => Err(self.unknown_function(at, name)),
            },
            (name, [operand]) => self.unary(at, name, operand, call.target.is_some()),
            (name, _) => Err(self.unknown_function(at, name)),
        }
    }

    fn unknown_function(&self, at: &IdedExpr, name: &str) -> CompileError {
        const KNOWN: [&str; 13] = [
            "size",
            "contains",
            "startsWith",
            "endsWith",
            "lowerAscii",
            "upperAscii",
            "trim",
            "timestamp",
            "duration",
            "int",
            "double",
            "string",
            "has",
        ];
        if name == "matches" {
            return self
                .error(at, "`matches` is not among what checks may use")
                .with_help("use `startsWith`, `endsWith`, `contains` or `in`");
        }
        let what = format!("function `{}`", name.trim_matches(['_', '@']));
        match did_you_mean(name, KNOWN) {
            Some(meant) if meant != name => self
                .error(at, format!("{what} is not among what checks may use"))
                .with_help(format!("did you mean `{meant}`?")),
            _ => self.unsupported(at, &what),
        }
    }

    fn pair(
        &mut self,
        left: &IdedExpr,
        right: &IdedExpr,
        needed: &Type,
    ) -> Result<Box<[Node; 2]>, CompileError> {
        Ok(Box::new([
            self.operand(left, needed)?,
            self.operand(right, needed)?,
        ]))
    }

    fn conditional(
        &mut self,
        condition: &IdedExpr,
        then: &IdedExpr,
        otherwise: &IdedExpr,
    ) -> Typed {
        let condition = self.operand(condition, &Type::Bool)?;
        let (yes, kind) = self.node(then)?;
        let (no, other) = self.node(otherwise)?;
        if !kind.may_be(&other) {
            let message = format!("the two branches give `{kind}` and `{other}`");
            return Err(self.error(otherwise, message));
        }
        let (yes, no) = (
            self.refuse_list(then, yes)?,
            self.refuse_list(otherwise, no)?,
        );
        let kind = if kind == other { kind } else { Type::Dyn };
        Ok((Node::If(Box::new([condition, yes, no])), kind))
    }

    fn is_in(&mut self, needle: &IdedExpr, list: &IdedExpr) -> Typed {
        let (needle_node, needle_kind) = self.node(needle)?;
        let needle_node = self.refuse_list(needle, needle_node)?;
        let (list_node, list_kind) = self.node(list)?;
        let entry = match &list_kind {
            Type::List(entry) => &**entry,
            Type::Dyn => &Type::Dyn,
            Type::Map => &Type::String,
            other => {
                let message = format!("`in` looks into lists and maps, this is `{other}`");
                return Err(self.error(list, message));
            }
        };
        if !needle_kind.may_be(entry) {
            let message = format!("`{needle_kind}` is never in a `{list_kind}`");
            return Err(self.error(needle, message));
        }
        Ok((Node::In(Box::new([needle_node, list_node])), Type::Bool))
    }

    fn negate(&mut self, operand: &IdedExpr) -> Typed {
        let (node, kind) = self.node(operand)?;
        if !(kind.is_number() || matches!(kind, Type::Dyn | Type::Duration)) {
            return Err(self.error(
                operand,
                format!("a number is needed here, this is `{kind}`"),
            ));
        }
        Ok((Node::Negate(Box::new(node)), kind))
    }

    fn size(&mut self, operand: &IdedExpr) -> Typed {
        let (node, kind) = self.node(operand)?;
        if !matches!(kind, Type::Dyn | Type::String | Type::List(_) | Type::Map) {
            let message = format!("`size` counts texts, lists and maps, this is `{kind}`");
            return Err(self.error(operand, message));
        }
        Ok((
            Node::Size(Box::new(self.refuse_list(operand, node)?)),
            Type::Int,
        ))
    }

    fn comparison(
        &mut self,
        at: &IdedExpr,
        comparison: Comparison,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Typed {
        let (one, one_kind) = self.node(left)?;
        let (other, other_kind) = self.node(right)?;
        if !one_kind.may_be(&other_kind) {
            let message = format!("`{one_kind}` and `{other_kind}` are never equal or in order");
            return Err(self.error(at, message));
        }
        let ordered = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if ordered && matches!(one_kind, Type::List(_) | Type::Map) {
            return Err(self.error(at, format!("values of type `{one_kind}` have no order")));
        }
        let operands = [
            self.refuse_list(left, one)?,
            self.refuse_list(right, other)?,
        ];
        Ok((Node::Compare(comparison, Box::new(operands)), Type::Bool))
    }

    fn arithmetic(
        &mut self,
        at: &IdedExpr,
        operation: Arithmetic,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Typed {
        let (one, one_kind) = self.node(left)?;
        let (other, other_kind) = self.node(right)?;
        let Some(kind) = result(operation, &one_kind, &other_kind) else {
            let message = format!("`{one_kind}` and `{other_kind}` do not go together here");
            let error = self.error(at, message);
            let mixed = one_kind.is_number() && other_kind.is_number();
            return Err(if mixed {
                error.with_help("convert one of them with `int(...)` or `double(...)`")
            } else {
                error
            });
        };
        let operands = [
            self.refuse_list(left, one)?,
            self.refuse_list(right, other)?,
        ];
        Ok((Node::Arithmetic(operation, Box::new(operands)), kind))
    }

    fn unary(&mut self, at: &IdedExpr, name: &str, operand: &IdedExpr, member: bool) -> Typed {
        let change = match name {
            "lowerAscii" => Some(TextChange::Lower),
            "upperAscii" => Some(TextChange::Upper),
            "trim" => Some(TextChange::Trim),
            _ => None,
        };
        if let Some(change) = change.filter(|_| member) {
            let operand = self.operand(operand, &Type::String)?;
            return Ok((Node::Change(change, Box::new(operand)), Type::String));
        }
        let (conversion, kind) = match name {
            "int" => (Conversion::Int, Type::Int),
            "double" => (Conversion::Double, Type::Double),
            "string" => (Conversion::String, Type::String),
            "timestamp" => (Conversion::Timestamp, Type::Timestamp),
            "duration" => (Conversion::Duration, Type::Duration),
            _ => return Err(self.unknown_function(at, name)),
        };
        if member {
            return Err(self.unknown_function(at, name));
        }
        let (node, _) = self.node(operand)?;
        let node = self.refuse_list(operand, node)?;
        // Constants are read now, so that a wrong one is a fault of the file.
        if let Node::Constant(Value::String(text)) = &node {
            return match evaluate::from_text(conversion, text) {
                Ok(value) => Ok((Node::Constant(value.to_value()), kind)),
                Err(_) => Err(self.error(operand, format!("`{text}` is no {kind}"))),
            };
        }
        Ok((Node::Convert(conversion, Box::new(node)), kind))
    }
}

fn comparison(name: &str) -> Option<Comparison> {
    Some(match name {
        operators::EQUALS => Comparison::Equal,
        operators::NOT_EQUALS => Comparison::NotEqual,
        operators::LESS => Comparison::Less,
        operators::LESS_EQUALS => Comparison::LessOrEqual,
        operators::GREATER => Comparison::Greater,
        operators::GREATER_EQUALS => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Remainder,
        _ => return None,
    })
}

fn text_test(name: &str) -> Option<TextTest> {
    Some(match name {
        "contains" => TextTest::Contains,
        "startsWith" => TextTest::StartsWith,
        "endsWith" => TextTest::EndsWith,
        _ => return None,
    })
}

/// The type that an operation gives; `None` when its operands do not go together.
fn result(operation: Arithmetic, one: &Type, other: &Type) -> Option<Type> {
    use Arithmetic::{Add, Remainder, Subtract};
    Some(match (operation, one, other) {
        (_, Type::Dyn, _) | (_, _, Type::Dyn) => Type::Dyn,
        (_, Type::Int, Type::Int) => Type::Int,
        (Remainder, ..) => return None,
        (_, Type::Double, Type::Double) => Type::Double,
        (Add, Type::String, Type::String) => Type::String,
        (Subtract, Type::Timestamp, Type::Timestamp)
        | (Add | Subtract, Type::Duration, Type::Duration) => Type::Duration,
        (Add | Subtract, Type::Timestamp, Type::Duration)
        | (Add, Type::Duration, Type::Timestamp) => Type::Timestamp,
        _ => return None,
    })
}
