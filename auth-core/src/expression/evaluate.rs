//! Walking the tree.

use std::cmp::Ordering;

use super::{
    Arithmetic, Bindings, Comparison, Conversion, EvalError, Node, Quantifier, TextChange,
    TextTest, Type,
};
use crate::{
    clock::Timestamp,
    value::{Val, Value, member},
};

/// The value of an expression that gives a truth value.
pub(super) fn truth<B: Bindings>(node: &Node, bindings: &B) -> Result<bool, EvalError> {
    Walk {
        bindings,
        local: None,
    }
    .truth(node)
}

/// The loops around a node, innermost first.
#[derive(Clone, Copy)]
struct Locals<'l> {
    value: &'l Val<'l>,
    outer: Option<&'l Locals<'l>>,
}

struct Walk<'l, B> {
    bindings: &'l B,
    local: Option<&'l Locals<'l>>,
}

// Derived, these would ask the same of `B`.
impl<B> Clone for Walk<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for Walk<'_, B> {}

impl<'l, B: Bindings> Walk<'l, B> {
    fn truth(self, node: &'l Node) -> Result<bool, EvalError> {
        match node {
            Node::Not(operand) => self.truth(operand).map(|value| !value),
            Node::And(operands) => {
                let [left, right] = &**operands;
                Ok(self.truth(left)? && self.truth(right)?)
            }
            Node::Or(operands) => {
                let [left, right] = &**operands;
                Ok(self.truth(left)? || self.truth(right)?)
            }
            Node::Has(variable) if self.bindings.text(*variable).is_some() => Ok(true),
            Node::Has(variable) => match self.bindings.value(*variable) {
                Ok(value) => Ok(!value.is_null()),
                Err(EvalError::NoSession) => Ok(false),
                Err(err) => Err(err),
            },
            Node::HasMember(operand, name) => match self.value(operand)? {
                Val::Map(map) => {
                    Ok(member(map, name).is_some_and(|value| !matches!(value, Value::Null)))
                }
                Val::Null => Ok(false),
                _ => Err(EvalError::WrongType),
            },
            Node::Compare(comparison, operands) => {
                let [left, right] = &**operands;
                match (self.text(left), self.text(right)) {
                    (Some(one), Some(other)) => Ok(compare_texts(*comparison, one, other)),
                    _ => self.compare(*comparison, left, right),
                }
            }
            Node::In(operands) => {
                let [needle, list] = &**operands;
                let value = self.value(needle)?;
                if value.is_null() && !is_null(needle) {
                    return Err(EvalError::WrongType);
                }
                self.is_in(&value, list)
            }
            Node::Text(test, operands) => {
                let [text, part] = &**operands;
                let (text, part) = (self.value(text)?, self.value(part)?);
                let text = text.as_str().ok_or(EvalError::WrongType)?;
                let part = part.as_str().ok_or(EvalError::WrongType)?;
                Ok(match test {
                    TextTest::Contains => text.contains(part),
                    TextTest::StartsWith => text.starts_with(part),
                    TextTest::EndsWith => text.ends_with(part),
                })
            }
            Node::Loop(quantifier, operands) => {
                let [list, body] = &**operands;
                self.each(*quantifier, list, body)
            }
            other => match self.value(other)? {
                Val::Bool(value) => Ok(value),
                _ => Err(EvalError::WrongType),
            },
        }
    }

    /// The value of a node, where it is a text of its type that stands somewhere.
    #[inline]
    fn text(self, node: &'l Node) -> Option<&'l str> {
        match node {
            Node::Constant(Value::String(text)) => Some(text),
            Node::Variable(variable, Type::String | Type::Dyn) => self.bindings.text(*variable),
            _ => None,
        }
    }

    fn compare(
        self,
        comparison: Comparison,
        left: &'l Node,
        right: &'l Node,
    ) -> Result<bool, EvalError> {
        let (one, other) = (self.value(left)?, self.value(right)?);
        let stated = is_null(left) || is_null(right);
        // Two things that are both absent are not the same thing: a book without a row and a
        // caller without a subject do not own each other.
        if one.is_null() && other.is_null() && !stated {
            return Err(EvalError::WrongType);
        }
        compare(comparison, &one, &other)
    }

    fn value(self, node: &'l Node) -> Result<Val<'l>, EvalError> {
        match node {
            Node::Constant(value) => Ok(value.as_val()),
            Node::Variable(variable, kind) => {
                let value = self.bindings.value(*variable)?;
                if kind.admits(&value) {
                    Ok(value)
                } else {
                    Err(EvalError::WrongType)
                }
            }
            Node::Local(depth) => self.local_value(*depth),
            Node::Member(operand, name) => match self.value(operand)? {
                Val::Map(map) => Ok(member(map, name).map_or(Val::Null, Value::as_val)),
                Val::Null => Ok(Val::Null),
                _ => Err(EvalError::WrongType),
            },
            Node::If(operands) => {
                let [condition, then, otherwise] = &**operands;
                self.value(if self.truth(condition)? {
                    then
                } else {
                    otherwise
                })
            }
            Node::Arithmetic(operation, operands) => {
                let [left, right] = &**operands;
                arithmetic(*operation, &self.value(left)?, &self.value(right)?)
            }
            Node::Negate(operand) => match self.value(operand)? {
                Val::Int(value) => value.checked_neg().map(Val::Int).ok_or(EvalError::Overflow),
                Val::Double(value) => Ok(Val::Double(-value)),
                Val::Duration(span) => span
                    .checked_neg()
                    .map(Val::Duration)
                    .ok_or(EvalError::Overflow),
                _ => Err(EvalError::WrongType),
            },
            Node::Size(operand) => size(&self.value(operand)?),
            Node::Change(change, operand) => {
                let value = self.value(operand)?;
                let text = value.as_str().ok_or(EvalError::WrongType)?;
                Ok(Val::Text(match change {
                    TextChange::Lower => text.to_ascii_lowercase().into(),
                    TextChange::Upper => text.to_ascii_uppercase().into(),
                    TextChange::Trim => text.trim().into(),
                }))
            }
            Node::Convert(conversion, operand) => convert(*conversion, self.value(operand)?),
            Node::List(_) => Err(EvalError::WrongType),
            truth => self.truth(truth).map(Val::Bool),
        }
    }

    fn local_value(self, depth: usize) -> Result<Val<'l>, EvalError> {
        let mut local = self.local;
        for _ in 0..depth {
            local = local.and_then(|local| local.outer);
        }
        local
            .map(|local| local.value.clone())
            .ok_or(EvalError::WrongType)
    }

    fn is_in(self, needle: &Val<'_>, list: &'l Node) -> Result<bool, EvalError> {
        if let Node::List(entries) = list {
            for entry in entries {
                if self.value(entry)?.equals(needle) {
                    return Ok(true);
                }
            }
            return Ok(false);
        }
        match self.value(list)? {
            Val::List(list) => Ok(list.iter().any(|value| value.as_val().equals(needle))),
            Val::Map(map) => Ok(needle
                .as_str()
                .is_some_and(|name| member(map, name).is_some())),
            _ => Err(EvalError::WrongType),
        }
    }

    fn each(
        self,
        quantifier: Quantifier,
        list: &'l Node,
        body: &'l Node,
    ) -> Result<bool, EvalError> {
        // `exists` ends at the first that holds, `all` at the first that does not.
        let ends_at = quantifier == Quantifier::Exists;
        if let Node::List(entries) = list {
            for entry in entries {
                if self.within(&self.value(entry)?, body)? == ends_at {
                    return Ok(ends_at);
                }
            }
            return Ok(!ends_at);
        }
        let Val::List(list) = self.value(list)? else {
            return Err(EvalError::WrongType);
        };
        for value in list {
            if self.within(&value.as_val(), body)? == ends_at {
                return Ok(ends_at);
            }
        }
        Ok(!ends_at)
    }

    fn within(self, value: &Val<'_>, body: &Node) -> Result<bool, EvalError> {
        let locals = Locals {
            value,
            outer: self.local,
        };
        Walk {
            bindings: self.bindings,
            local: Some(&locals),
        }
        .truth(body)
    }
}

/// Whether an operand is written as `null`.
fn is_null(node: &Node) -> bool {
    matches!(node, Node::Constant(Value::Null))
}

#[inline]
fn compare_texts(comparison: Comparison, one: &str, other: &str) -> bool {
    match comparison {
        Comparison::Equal => one == other,
        Comparison::NotEqual => one != other,
        Comparison::Less => one < other,
        Comparison::LessOrEqual => one <= other,
        Comparison::Greater => one > other,
        Comparison::GreaterOrEqual => one >= other,
    }
}

fn compare(comparison: Comparison, one: &Val<'_>, other: &Val<'_>) -> Result<bool, EvalError> {
    let order = || one.compare(other).ok_or(EvalError::WrongType);
    Ok(match comparison {
        Comparison::Equal => one.equals(other),
        Comparison::NotEqual => !one.equals(other),
        Comparison::Less => order()? == Ordering::Less,
        Comparison::LessOrEqual => order()? != Ordering::Greater,
        Comparison::Greater => order()? == Ordering::Greater,
        Comparison::GreaterOrEqual => order()? != Ordering::Less,
    })
}

fn size<'v>(value: &Val<'_>) -> Result<Val<'v>, EvalError> {
    let size = match value {
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        text => text.as_str().ok_or(EvalError::WrongType)?.chars().count(),
    };
    i64::try_from(size)
        .map(Val::Int)
        .map_err(|_| EvalError::Overflow)
}

fn arithmetic<'v>(
    operation: Arithmetic,
    one: &Val<'_>,
    other: &Val<'_>,
) -> Result<Val<'v>, EvalError> {
    match (operation, one, other) {
        (_, Val::Int(one), Val::Int(other)) => integers(operation, *one, *other).map(Val::Int),
        (_, Val::Double(one), Val::Double(other)) => doubles(operation, *one, *other),
        (Arithmetic::Subtract, Val::Timestamp(one), Val::Timestamp(other)) => {
            let span = one.as_micros().checked_sub(other.as_micros());
            span.map(Val::Duration).ok_or(EvalError::Overflow)
        }
        (Arithmetic::Add, Val::Timestamp(time), Val::Duration(span))
        | (Arithmetic::Add, Val::Duration(span), Val::Timestamp(time)) => {
            instant(time.as_micros().checked_add(*span))
        }
        (Arithmetic::Subtract, Val::Timestamp(time), Val::Duration(span)) => {
            instant(time.as_micros().checked_sub(*span))
        }
        (Arithmetic::Add, Val::Duration(one), Val::Duration(other)) => one
            .checked_add(*other)
            .map(Val::Duration)
            .ok_or(EvalError::Overflow),
        (Arithmetic::Subtract, Val::Duration(one), Val::Duration(other)) => one
            .checked_sub(*other)
            .map(Val::Duration)
            .ok_or(EvalError::Overflow),
        (Arithmetic::Add, one, other) => {
            let one = one.as_str().ok_or(EvalError::WrongType)?;
            let other = other.as_str().ok_or(EvalError::WrongType)?;
            Ok(Val::Text(format!("{one}{other}").into()))
        }
        _ => Err(EvalError::WrongType),
    }
}

fn instant<'v>(micros: Option<i64>) -> Result<Val<'v>, EvalError> {
    micros
        .map(|micros| Val::Timestamp(Timestamp::from_micros(micros)))
        .ok_or(EvalError::Overflow)
}

fn integers(operation: Arithmetic, one: i64, other: i64) -> Result<i64, EvalError> {
    let result = match operation {
        Arithmetic::Add => one.checked_add(other),
        Arithmetic::Subtract => one.checked_sub(other),
        Arithmetic::Multiply => one.checked_mul(other),
        Arithmetic::Divide | Arithmetic::Remainder if other == 0 => {
            return Err(EvalError::DivisionByZero);
        }
        Arithmetic::Divide => one.checked_div(other),
        Arithmetic::Remainder => one.checked_rem(other),
    };
    result.ok_or(EvalError::Overflow)
}

fn doubles<'v>(operation: Arithmetic, one: f64, other: f64) -> Result<Val<'v>, EvalError> {
    Ok(Val::Double(match operation {
        Arithmetic::Add => one + other,
        Arithmetic::Subtract => one - other,
        Arithmetic::Multiply => one * other,
        Arithmetic::Divide => one / other,
        Arithmetic::Remainder => return Err(EvalError::WrongType),
    }))
}

fn convert<'v>(conversion: Conversion, value: Val<'v>) -> Result<Val<'v>, EvalError> {
    match (conversion, &value) {
        (Conversion::Int, Val::Int(_))
        | (Conversion::Double, Val::Double(_))
        | (Conversion::String, Val::Str(_) | Val::Text(_))
        | (Conversion::Timestamp, Val::Timestamp(_))
        | (Conversion::Duration, Val::Duration(_)) => Ok(value),
        (Conversion::Int, Val::Double(number)) => whole(*number),
        (Conversion::Int, Val::Timestamp(time)) => Ok(Val::Int(time.as_seconds())),
        #[expect(
            clippy::cast_precision_loss,
            reason = "that is what the conversion does"
        )]
        (Conversion::Double, Val::Int(number)) => Ok(Val::Double(*number as f64)),
        (Conversion::String, Val::Int(number)) => Ok(Val::Text(number.to_string().into())),
        (Conversion::String, Val::Bool(value)) => Ok(Val::Text(value.to_string().into())),
        (Conversion::String, Val::Timestamp(time)) => Ok(Val::Text(time.to_string().into())),
        (_, text) => from_text(conversion, text.as_str().ok_or(EvalError::WrongType)?),
    }
}

fn whole<'v>(number: f64) -> Result<Val<'v>, EvalError> {
    if number.abs() < 9_223_372_036_854_774_784.0 {
        #[expect(clippy::cast_possible_truncation, reason = "within the range of i64")]
        Ok(Val::Int(number.trunc() as i64))
    } else {
        Err(EvalError::Overflow)
    }
}

/// Reads a text as another type.
pub(super) fn from_text<'v>(conversion: Conversion, text: &str) -> Result<Val<'v>, EvalError> {
    match conversion {
        Conversion::Int => text
            .parse()
            .map(Val::Int)
            .map_err(|_| EvalError::Conversion),
        Conversion::Double => text
            .parse()
            .map(Val::Double)
            .map_err(|_| EvalError::Conversion),
        Conversion::Timestamp => text
            .parse::<jiff::Timestamp>()
            .map(|time| Val::Timestamp(Timestamp::from_micros(time.as_microsecond())))
            .map_err(|_| EvalError::Conversion),
        Conversion::Duration => span(text).map(Val::Duration).ok_or(EvalError::Conversion),
        Conversion::String => Ok(Val::Text(text.into())),
    }
}

/// Reads a span as CEL writes it, in microseconds: `1h30m`, `-1.5s`, `250ms`.
fn span(text: &str) -> Option<i64> {
    let (sign, mut rest) = text
        .strip_prefix('-')
        .map_or((1.0, text), |rest| (-1.0, rest));
    if rest.is_empty() {
        return None;
    }
    let mut micros = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest
            .bytes()
            .take_while(|b| b.is_ascii_digit() || *b == b'.')
            .count();
        let (number, tail) = rest.split_at_checked(digits)?;
        let letters = tail.bytes().take_while(u8::is_ascii_lowercase).count();
        let (unit, tail) = tail.split_at_checked(letters)?;
        let size = match unit {
            "h" => 3_600e6,
            "m" => 60e6,
            "s" => 1e6,
            "ms" => 1e3,
            "us" => 1.0,
            _ => return None,
        };
        micros += number.parse::<f64>().ok()? * size;
        rest = tail;
    }
    // Beyond this a whole number of microseconds is no longer exact, after some 285 years.
    #[expect(clippy::cast_possible_truncation, reason = "within the range of i64")]
    (micros < 9e15).then_some((sign * micros).round() as i64)
}
