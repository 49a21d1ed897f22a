//! Asking a running Sidegate to decide and explain.

use auth_core::wire::WireKind;
use proto::{
    admin::v1::{ExplainDecisionRequest, explain_decision_request},
    v1,
};

use super::{Question, Server, Who};
use crate::{failure::Failure, view::decision::DecisionView};

/// What a running Sidegate decides.
pub(super) async fn ask(server: &Server, question: Question) -> Result<DecisionView, Failure> {
    let request = server.request(request(question));
    let answer = server.admin().explain_decision(request).await?.into_inner();
    Ok(DecisionView::new(
        answer.decision.unwrap_or_default(),
        &answer.explanation_json,
    ))
}

fn request(question: Question) -> ExplainDecisionRequest {
    use explain_decision_request::Who as Stated;
    let (who, credentials) = match question.who {
        Who::Session(_, json) => (Some(Stated::SessionJson(json.into())), Vec::new()),
        Who::Holder(credential) => (None, vec![credential.into()]),
        Who::Nobody => (Some(Stated::Anonymous(true)), Vec::new()),
    };
    let (kind, custom_kind) = kind_message(&question.kind);
    ExplainDecisionRequest {
        wire: Some(v1::WireContext {
            kind: kind.into(),
            custom_kind,
            authority: question.host.unwrap_or_default(),
            method: question.method,
            target: question.target,
            credentials,
            ..v1::WireContext::default()
        }),
        data_json: question.data.into(),
        data_complete: true,
        who,
    }
}

fn kind_message(kind: &WireKind) -> (v1::WireKind, String) {
    let built_in = match kind {
        WireKind::Http => v1::WireKind::Http,
        WireKind::Grpc => v1::WireKind::Grpc,
        WireKind::WebSocket => v1::WireKind::Websocket,
        WireKind::Cli => v1::WireKind::Cli,
        WireKind::Mcp => v1::WireKind::Mcp,
        WireKind::Queue => v1::WireKind::Queue,
        WireKind::Schedule => v1::WireKind::Schedule,
        WireKind::Rpc => v1::WireKind::Rpc,
        WireKind::Custom(name) => return (v1::WireKind::Custom, name.to_string()),
    };
    (built_in, String::new())
}
