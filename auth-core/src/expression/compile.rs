//! From CEL's syntax tree to ours, with names and types checked.

use std::{collections::BTreeMap, fmt, thread};

use cel::{
    Env,
    common::ast::{
        ComprehensionExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators,
    },
};

use super::{Declarations, Expression, Node, Quantifier, Root, Type, VariableId, limits};
use crate::{suggest::did_you_mean, value::Value};

mod call;

/// The stack of the thread that parses; the parser needs far less for what the limits let through.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// How many loops may stand in each other.
const MAX_LOOPS: usize = 2;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    message: String,
    help: Option<String>,
    column: usize,
    length: usize,
}

impl CompileError {
    fn new(message: impl Into<String>, source: &str, start: usize, stop: usize) -> Self {
        let before = source.get(..start).unwrap_or_default();
        let column = before.chars().count() + 1;
        let length = source
            .get(start..stop)
            .map_or(1, |text| text.chars().count().max(1));
        Self {
            message: message.into(),
            help: None,
            column,
            length,
        }
    }

    fn with_help(self, help: impl Into<String>) -> Self {
        Self {
            help: Some(help.into()),
            ..self
        }
    }

    /// What would be right.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where it is, in characters from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// How many characters are meant.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CompileError {}

pub(super) fn compile(
    source: &str,
    declarations: &Declarations,
) -> Result<Expression, CompileError> {
    limits::check(source)
        .map_err(|excess| CompileError::new(excess.message, source, excess.at, excess.at + 1))?;
    thread::scope(|scope| {
        let compiled = thread::Builder::new()
            .name("sidegate-compile".into())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || compile_here(source, declarations));
        match compiled.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(CompileError::new(
                "the expression cannot be read",
                source,
                0,
                1,
            )),
            Err(err) => {
                let message = format!("no thread could be started to read the expression: {err}");
                Err(CompileError::new(message, source, 0, 1))
            }
        }
    })
}

fn compile_here(source: &str, declarations: &Declarations) -> Result<Expression, CompileError> {
    let parser = Env::stdlib().parser();
    let (tree, places) = parser
        .parse_with_source_info(source)
        .map_err(|err| syntax_error(source, &err))?;
    let mut compiler = Compiler {
        source,
        declarations,
        places,
        loops: Vec::new(),
        reads: BTreeMap::new(),
    };
    let (node, kind) = compiler.node(&tree)?;
    if !kind.may_be(&Type::Bool) {
        let message = format!("a check gives a truth value, this gives `{kind}`");
        return Err(compiler.error(&tree, message));
    }
    let reads: Vec<_> = compiler
        .reads
        .iter()
        .map(|(id, (only_has, _))| (*id, *only_has))
        .collect();
    let session = || {
        compiler
            .reads
            .values()
            .filter(|(_, root)| *root == Root::Session)
    };
    let guarded = contains_session_guard(&node, declarations);
    Ok(Expression {
        reads_session_unguarded: session().any(|(only_has, _)| !only_has) && !guarded,
        reads: reads.into(),
        node,
    })
}

/// The parser's words, where ours are clearer.
fn syntax_error(source: &str, errors: &cel::ParseErrors) -> CompileError {
    let first = errors.errors.first();
    let column = first.map_or(0, |err| usize::try_from(err.pos.1).unwrap_or(0));
    let start = source
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(0, |(at, _)| at);
    let error = |message: &str, at: usize, length: usize| {
        CompileError::new(message, source, at, at + length)
    };
    for (word, operator) in [(" and ", "&&"), (" or ", "||"), ("not ", "!")] {
        if let Some(at) = source.find(word) {
            let blank = word.len() - word.trim_start().len();
            return error("this is no operator", at + blank, word.trim().len())
                .with_help(format!("write `{operator}` instead of `{}`", word.trim()));
        }
    }
    if let Some(at) = single_equals(source) {
        return error("`=` is no operator", at, 1).with_help("write `==` to compare");
    }
    let what = first.map_or("", |err| err.msg.lines().next().unwrap_or_default());
    let what = what.trim_start_matches("Syntax error: ");
    error(&format!("the expression cannot be read: {what}"), start, 1)
}

fn single_equals(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    (0..bytes.len()).find(|at| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        bytes.get(*at) == Some(&b'=')
            && bytes.get(at + 1) != Some(&b'=')
            && !matches!(before, Some(b'=' | b'!' | b'<' | b'>'))
    })
}

/// Whether some `has` reads the session.
fn contains_session_guard(node: &Node, declarations: &Declarations) -> bool {
    let is_session = |id: &VariableId| {
        let index = usize::try_from(id.0).unwrap_or(usize::MAX);
        declarations
            .declared
            .get(index)
            .is_some_and(|(_, root)| *root == Root::Session)
    };
    let any = |nodes: &[Node]| {
        nodes
            .iter()
            .any(|node| contains_session_guard(node, declarations))
    };
    match node {
        Node::Has(id) => is_session(id),
        Node::HasMember(operand, _) => match &**operand {
            Node::Variable(id, _) => is_session(id),
            other => contains_session_guard(other, declarations),
        },
        Node::Constant(_) | Node::Variable(..) | Node::Local(_) => false,
        Node::Member(operand, _)
        | Node::Not(operand)
        | Node::Negate(operand)
        | Node::Size(operand)
        | Node::Change(_, operand)
        | Node::Convert(_, operand) => contains_session_guard(operand, declarations),
        Node::And(operands)
        | Node::Or(operands)
        | Node::Compare(_, operands)
        | Node::Arithmetic(_, operands)
        | Node::In(operands)
        | Node::Text(_, operands)
        | Node::Loop(_, operands) => any(&**operands),
        Node::If(operands) => any(&**operands),
        Node::List(entries) => any(entries),
    }
}

type Typed = Result<(Node, Type), CompileError>;

struct Compiler<'a> {
    source: &'a str,
    declarations: &'a Declarations,
    places: SourceInfo,
    /// The variables of the loops around, outermost first, with their types.
    loops: Vec<(String, Type)>,
    /// What is read, whether only within `has`, and of what.
    reads: BTreeMap<VariableId, (bool, Root)>,
}

impl Compiler<'_> {
    fn error(&self, at: &IdedExpr, message: impl Into<String>) -> CompileError {
        let (start, stop) = self.places.offset_for(at.id).unwrap_or((0, 0));
        let start = self
            .places
            .offset_for(first(at).id)
            .map_or(start, |(first, _)| first.min(start));
        // The parser counts characters.
        let byte = |offset: u32| {
            let offset = usize::try_from(offset).unwrap_or(usize::MAX);
            self.source
                .char_indices()
                .nth(offset)
                .map_or(self.source.len(), |(at, _)| at)
        };
        CompileError::new(
            message,
            self.source,
            byte(start),
            byte(stop).max(byte(start)),
        )
    }

    fn node(&mut self, expr: &IdedExpr) -> Typed {
        match &expr.expr {
            Expr::Literal(literal) => self.literal(expr, literal),
            Expr::Ident(name) => self.name(expr, name),
            Expr::Select(select) => self.select(expr, select),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => self.list(&list.elements),
            Expr::Comprehension(comprehension) => self.comprehension(expr, comprehension),
            Expr::Map(_) => Err(self.unsupported(expr, "a map literal")),
            Expr::Struct(_) => Err(self.unsupported(expr, "a message literal")),
            Expr::Unspecified => Err(self.unsupported(expr, "this")),
        }
    }

    fn unsupported(&self, at: &IdedExpr, what: &str) -> CompileError {
        self.error(at, format!("{what} is not among what checks may use"))
            .with_help(
                "checks use comparisons, `&& || !`, `? :`, `in`, `has`, `size`, text functions, \
             `exists`, `all`, arithmetic, timestamps and durations",
            )
    }

    fn literal(&self, at: &IdedExpr, literal: &LiteralValue) -> Typed {
        let (value, kind) = match literal {
            LiteralValue::Null => (Value::Null, Type::Dyn),
            LiteralValue::Boolean(value) => (Value::Bool(*value.inner()), Type::Bool),
            LiteralValue::Int(value) => (Value::Int(*value.inner()), Type::Int),
            LiteralValue::Double(value) => (Value::Double(*value.inner()), Type::Double),
            LiteralValue::String(text) => (Value::String(text.inner().into()), Type::String),
            LiteralValue::UInt(_) => return Err(self.unsupported(at, "an unsigned integer")),
            LiteralValue::Bytes(_) => return Err(self.unsupported(at, "a bytes literal")),
        };
        Ok((Node::Constant(value), kind))
    }

    fn name(&mut self, at: &IdedExpr, name: &str) -> Typed {
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

    fn variable(&mut self, at: &IdedExpr, name: &str) -> Typed {
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
    fn dotted(&self, expr: &IdedExpr) -> Option<String> {
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

    fn select(&mut self, at: &IdedExpr, select: &SelectExpr) -> Typed {
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

    fn list(&mut self, elements: &[IdedExpr]) -> Typed {
        let mut nodes = Vec::new();
        let mut kind = None;
        for element in elements {
            let (node, entry) = self.node(element)?;
            kind = match kind {
                None => Some(entry),
                Some(known) if known == entry => Some(known),
                Some(_) => Some(Type::Dyn),
            };
            nodes.push(node);
        }
        let kind = Type::List(Box::new(kind.unwrap_or(Type::Dyn)));
        let constants: Option<Vec<Value>> = nodes
            .iter()
            .map(|node| match node {
                Node::Constant(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        Ok(match constants {
            Some(values) => (Node::Constant(Value::List(values.into())), kind),
            None => (Node::List(nodes.into()), kind),
        })
    }

    /// `exists` and `all`, which the parser has spelled out as loops.
    fn comprehension(&mut self, at: &IdedExpr, spelled: &ComprehensionExpr) -> Typed {
        let step = match &spelled.loop_step.expr {
            Expr::Call(step) => step,
            _ => return Err(self.unsupported(at, "this macro")),
        };
        let quantifier = match (step.func_name.as_str(), &spelled.accu_init.expr) {
            (operators::LOGICAL_OR, Expr::Literal(LiteralValue::Boolean(_))) => Quantifier::Exists,
            (operators::LOGICAL_AND, Expr::Literal(LiteralValue::Boolean(_))) => Quantifier::All,
            _ => return Err(self.unsupported(at, "this macro")),
        };
        let [_, body] = step.args.as_slice() else {
            return Err(self.unsupported(at, "this macro"));
        };
        if spelled.iter_var2.is_some() || self.loops.len() == MAX_LOOPS {
            return Err(self.unsupported(at, "a loop of two variables, or in two other loops,"));
        }
        let (range, kind) = self.node(&spelled.iter_range)?;
        let entry = match kind {
            Type::List(entry) => *entry,
            Type::Dyn => Type::Dyn,
            other => {
                let message = format!("`exists` and `all` go over lists, this is `{other}`");
                return Err(self.error(&spelled.iter_range, message));
            }
        };
        self.loops.push((spelled.iter_var.clone(), entry));
        let body = self.operand(body, &Type::Bool);
        self.loops.pop();
        Ok((Node::Loop(quantifier, Box::new([range, body?])), Type::Bool))
    }

    /// A node that must be of a type.
    fn operand(&mut self, expr: &IdedExpr, needed: &Type) -> Result<Node, CompileError> {
        let (node, kind) = self.node(expr)?;
        if !kind.may_be(needed) {
            return Err(self.error(expr, format!("`{needed}` is needed here, this is `{kind}`")));
        }
        self.refuse_list(expr, node)
    }

    /// A list that is not constant has no value of its own.
    fn refuse_list(&self, at: &IdedExpr, node: Node) -> Result<Node, CompileError> {
        match node {
            Node::List(_) => Err(self
                .error(at, "a list of names can stand behind `in` only")
                .with_help("compare each name by itself")),
            node => Ok(node),
        }
    }
}

/// Where a dotted name begins: the parser places it at its last dot.
fn first(expr: &IdedExpr) -> &IdedExpr {
    match &expr.expr {
        Expr::Select(select) => first(&select.operand),
        _ => expr,
    }
}
