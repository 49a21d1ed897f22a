//! From CEL's syntax tree to ours, with names and types checked.

use std::{collections::BTreeMap, thread};

use cel::{
    Env,
    common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators},
};

use super::{Declarations, Expression, Node, Quantifier, Root, Type, VariableId, limits};
use crate::value::Value;

mod call;
mod error;
mod name;

pub use error::CompileError;
use error::syntax_error;

/// The stack of the thread that parses; the parser needs far less for what the limits let through.
const STACK_BYTES: usize = 16 * 1024 * 1024;
/// How many loops may stand in each other.
const MAX_LOOPS: usize = 2;

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
