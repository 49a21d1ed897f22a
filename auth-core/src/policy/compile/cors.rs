//! Compiling what pages of other origins may do.

use std::sync::Arc;

use super::Faults;
use crate::{
    cors::{Cors, Origins},
    grammar::is_token_byte,
    origin::Origin,
    policy::{file::CorsFile, scalar::At, source::Document},
};

/// What an app says of all its operations.
pub(super) fn of_app(document: &Document, faults: &mut Faults) -> Option<Arc<Cors>> {
    let file = document.file.cors.as_ref()?;
    if file.origins.is_empty() {
        let help = "leave `cors` out: other origins then may nothing";
        faults.error_help(document, file, "`origins` is empty", help);
    }
    compile(document, file, faults)
}

/// What it means; `None` where it names no origin.
pub(super) fn compile(
    document: &Document,
    file: &At<CorsFile>,
    faults: &mut Faults,
) -> Option<Arc<Cors>> {
    if file.origins.is_empty() {
        refuse_idle(document, file, faults);
        return None;
    }
    Some(Arc::new(Cors {
        origins: origins(document, file, faults),
        credentials: file.credentials,
        headers: names(document, &file.headers, faults),
        expose: names(document, &file.expose, faults),
        max_age: file.max_age.map(|span| span.value.0),
    }))
}

/// With no origin nothing else means anything.
fn refuse_idle(document: &Document, file: &At<CorsFile>, faults: &mut Faults) {
    let is_idle = file.credentials
        || !file.headers.is_empty()
        || !file.expose.is_empty()
        || file.max_age.is_some();
    if is_idle {
        let help = "name origins, as `https://web.example`, or leave the rest out";
        faults.error_help(document, file, "`cors` of no origins has no meaning", help);
    }
}

fn origins(document: &Document, file: &At<CorsFile>, faults: &mut Faults) -> Origins {
    if let Some(any) = file.origins.iter().find(|origin| origin.value == "*") {
        if file.origins.len() > 1 {
            let message = "`*` stands for all origins, so it stands alone";
            faults.error(document, any, message);
        }
        if file.credentials {
            let help = "list the origins that may send our cookie";
            let message = "`*` goes without `credentials`";
            faults.error_help(document, any, message, help);
        }
        return Origins::Any;
    }
    let mut listed = Vec::new();
    for text in &file.origins {
        match Origin::parse(text.as_bytes()) {
            Ok(origin) => listed.push(origin),
            Err(err) => {
                let message = format!("`{}` is {err}", text.escape_debug());
                faults.error(document, text, &message);
            }
        }
    }
    Origins::Listed(listed.into())
}

/// The names of headers, joined.
fn names(document: &Document, names: &[At<String>], faults: &mut Faults) -> Box<str> {
    for name in names {
        let is_name = !name.is_empty() && name.bytes().all(is_token_byte) && name.value != "*";
        if !is_name {
            let message = format!("`{}` is no name of a header", name.escape_debug());
            faults.error(document, name, &message);
        }
    }
    let names: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
    names.join(", ").into()
}
