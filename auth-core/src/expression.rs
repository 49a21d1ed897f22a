//! Expressions of checks: CEL syntax, compiled at load into a typed tree of our own (R4).
//!
//! The `cel` crate parses; names and types are checked here against what is declared, and what lies
//! outside the subset is refused in words. Evaluation walks the tree and allocates nothing but for
//! computed texts. `&&` and `||` go from left to right; an error that is reached is final, and the
//! check is then false, also under `!`.
//!
//! The subset: literals; `== != < <= > >=`; `&& || !` and `? :`; `in` over lists and members of
//! maps; `has(a.b)`; `size`; `contains`, `startsWith`, `endsWith`, `lowerAscii`, `upperAscii`,
//! `trim`; `+ - * / %` on numbers, `+` on texts; `exists` and `all` over lists; `timestamp("...")`
//! and `duration("...")`, their differences, sums and comparisons; `int`, `double`, `string`.

use std::{collections::HashMap, fmt, str::FromStr};

mod compile;
mod evaluate;
mod limits;

pub use compile::CompileError;

use crate::value::{Val, Value};

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Not known before the value is there.
    Dyn,
    /// A truth value.
    Bool,
    /// An integer of 64 bits.
    Int,
    /// A floating-point number.
    Double,
    /// A text.
    String,
    /// An instant.
    Timestamp,
    /// A span of time.
    Duration,
    /// A list.
    List(Box<Type>),
    /// Members by name, of any types.
    Map,
}

impl Type {
    /// Whether a value of one type may be one of the other.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::List(one), Self::List(other)) => one.may_be(other),
            _ => self == other || (self.is_number() && other.is_number()),
        }
    }

    /// Whether it is a number, for all that is known.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Double)
    }

    /// Whether a value is of this type. Null is of every type; an integer will do for a double.
    #[must_use]
    #[inline]
    pub fn admits(&self, value: &Val<'_>) -> bool {
        match (self, value) {
            (Self::Dyn, _) | (_, Val::Null) => true,
            (Self::Bool, Val::Bool(_))
            | (Self::Int | Self::Double, Val::Int(_))
            | (Self::Double, Val::Double(_))
            | (Self::String, Val::Str(_) | Val::Text(_))
            | (Self::Timestamp, Val::Timestamp(_))
            | (Self::Duration, Val::Duration(_))
            | (Self::Map, Val::Map(_)) => true,
            (Self::List(entry), Val::List(list)) => {
                list.iter().all(|value| entry.admits(&value.as_val()))
            }
            _ => false,
        }
    }
}

/// As policy files write it.
impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => f.write_str("dyn"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Double => f.write_str("double"),
            Self::String => f.write_str("string"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(entry) => write!(f, "list({entry})"),
            Self::Map => f.write_str("map"),
        }
    }
}

/// A text names no type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown type")]
pub struct UnknownType;

impl FromStr for Type {
    type Err = UnknownType;

    fn from_str(text: &str) -> Result<Self, UnknownType> {
        Ok(match text {
            "bool" => Self::Bool,
            "int" => Self::Int,
            "double" => Self::Double,
            "string" => Self::String,
            "timestamp" => Self::Timestamp,
            "duration" => Self::Duration,
            "map" => Self::Map,
            list => {
                let entry = list
                    .strip_prefix("list(")
                    .and_then(|rest| rest.strip_suffix(')'));
                match entry.ok_or(UnknownType)?.parse()? {
                    Self::List(_) => return Err(UnknownType),
                    entry => Self::List(Box::new(entry)),
                }
            }
        })
    }
}

/// What kind of thing a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The session.
    Session,
    /// The data of the call.
    Data,
    /// The wire.
    Wire,
    /// The identity of the peer.
    Workload,
    /// A looked-up row.
    Lookup(usize),
    /// The present instant.
    Now,
}

/// A declared name, by the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VariableId(pub u32);

/// The names that expressions may read.
#[derive(Clone, Debug, Default)]
pub struct Declarations {
    names: HashMap<String, VariableId>,
    declared: Vec<(Type, Root)>,
}

impl Declarations {
    /// Declares a dotted name. One that is there already is declared anew.
    pub fn declare(&mut self, name: &str, kind: Type, root: Root) -> VariableId {
        let id = VariableId(u32::try_from(self.declared.len()).unwrap_or(u32::MAX));
        self.declared.push((kind, root));
        self.names.insert(name.to_owned(), id);
        id
    }

    fn get(&self, name: &str) -> Option<(VariableId, &Type, Root)> {
        let id = *self.names.get(name)?;
        let (kind, root) = self.declared.get(usize::try_from(id.0).ok()?)?;
        Some((id, kind, *root))
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Whether names begin with this one: it is a record whose leaves are read.
    fn is_record(&self, name: &str) -> bool {
        self.names.keys().any(|known| {
            known
                .strip_prefix(name)
                .is_some_and(|rest| rest.starts_with('.'))
        })
    }
}

/// Why an expression has no value. The check is then false, but for `Unavailable`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum EvalError {
    /// A value is not of the type that is needed.
    #[error("a value is of a wrong type")]
    WrongType,
    /// Arithmetic left the range of numbers.
    #[error("a number is out of range")]
    Overflow,
    /// A division by zero.
    #[error("a division by zero")]
    DivisionByZero,
    /// A text is no number, instant or span.
    #[error("a text could not be converted")]
    Conversion,
    /// The session is read and there is none (R5).
    #[error("there is no session")]
    NoSession,
    /// Data is read that may have been cut.
    #[error("the data is not complete")]
    DataIncomplete,
    /// A look-up failed: the check is undetermined.
    #[error("a look-up failed")]
    Unavailable,
}

/// Gives the values of names.
pub trait Bindings {
    /// The value of a name; null when it is absent.
    ///
    /// # Errors
    ///
    /// Returns [`EvalError`] when there can be none.
    fn value(&self, variable: VariableId) -> Result<Val<'_>, EvalError>;

    /// The value of a name, where it is a text that stands somewhere. It comes in registers: most
    /// comparisons are of texts, and a [`Val`] on its way through the stack costs as much as they.
    #[inline]
    fn text(&self, variable: VariableId) -> Option<&str> {
        match self.value(variable) {
            Ok(Val::Str(text)) => Some(text),
            _ => None,
        }
    }
}

/// A compiled expression.
#[derive(Clone, Debug)]
pub struct Expression {
    node: Node,
    reads: Box<[(VariableId, bool)]>,
    reads_session_unguarded: bool,
}

impl Expression {
    /// Compiles an expression that gives a truth value.
    ///
    /// Parsing runs on a thread of its own with a large stack, since the parser recurses.
    ///
    /// # Errors
    ///
    /// Returns [`CompileError`] with the place of what is wrong, and what would be right.
    pub fn compile(source: &str, declarations: &Declarations) -> Result<Self, CompileError> {
        compile::compile(source, declarations)
    }

    /// The distinct names that are read, and whether only within `has`.
    pub fn reads(&self) -> impl Iterator<Item = (VariableId, bool)> {
        self.reads.iter().copied()
    }

    /// Whether it reads the session and guards it nowhere by `has(session...)`: it is then false
    /// when there is no session, whatever the order of its parts (R5).
    #[must_use]
    pub const fn reads_session_unguarded(&self) -> bool {
        self.reads_session_unguarded
    }

    /// Its value.
    ///
    /// # Errors
    ///
    /// Returns [`EvalError`] when it has none.
    pub fn evaluate<B: Bindings>(&self, bindings: &B) -> Result<bool, EvalError> {
        evaluate::truth(&self.node, bindings)
    }
}

/// The tree.
#[derive(Clone, Debug)]
enum Node {
    Constant(Value),
    Variable(VariableId, Type),
    /// The variable of the loop this many loops out.
    Local(usize),
    Member(Box<Node>, Box<str>),
    Has(VariableId),
    HasMember(Box<Node>, Box<str>),
    Not(Box<Node>),
    And(Box<[Node; 2]>),
    Or(Box<[Node; 2]>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<[Node; 2]>),
    Arithmetic(Arithmetic, Box<[Node; 2]>),
    Negate(Box<Node>),
    In(Box<[Node; 2]>),
    /// A list that is not constant; only behind `in` and before loops.
    List(Box<[Node]>),
    Size(Box<Node>),
    Text(TextTest, Box<[Node; 2]>),
    Change(TextChange, Box<Node>),
    Convert(Conversion, Box<Node>),
    Loop(Quantifier, Box<[Node; 2]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextTest {
    Contains,
    StartsWith,
    EndsWith,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextChange {
    Lower,
    Upper,
    Trim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conversion {
    Int,
    Double,
    String,
    Timestamp,
    Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantifier {
    Exists,
    All,
}

#[cfg(test)]
mod tests;
