//! What an edge should send for a kind of wire.

use auth_core::{
    data::TextType,
    decision_point::{DataName, OperationTags, WireProfile},
};

use super::{ConvertError, wire::source};
use crate::v1;

impl From<DataName> for v1::DataName {
    fn from(data: DataName) -> Self {
        let text_type = match data.text {
            TextType::String => v1::TextType::String,
            TextType::Int => v1::TextType::Int,
            TextType::Double => v1::TextType::Double,
            TextType::Bool => v1::TextType::Bool,
        };
        Self {
            operation: data.operation.as_ref().to_owned(),
            field: data.field,
            path: data.path,
            text_type: text_type.into(),
        }
    }
}

impl TryFrom<v1::DataName> for DataName {
    type Error = ConvertError;

    fn try_from(data: v1::DataName) -> Result<Self, ConvertError> {
        let text = match v1::TextType::try_from(data.text_type) {
            Ok(v1::TextType::Unspecified | v1::TextType::String) => TextType::String,
            Ok(v1::TextType::Int) => TextType::Int,
            Ok(v1::TextType::Double) => TextType::Double,
            Ok(v1::TextType::Bool) => TextType::Bool,
            Err(_) => return Err(ConvertError::new("text_type", "is not one of this build")),
        };
        Ok(Self {
            operation: data.operation.into(),
            field: data.field,
            path: data.path,
            text,
        })
    }
}

fn tags_to_message(tags: OperationTags) -> v1::OperationTags {
    v1::OperationTags {
        operation: tags.operation.as_ref().to_owned(),
        tags: tags.tags,
    }
}

fn tags_of_message(message: v1::OperationTags) -> OperationTags {
    OperationTags {
        operation: message.operation.into(),
        tags: message.tags,
    }
}

impl From<WireProfile> for v1::GetWireProfileResponse {
    fn from(profile: WireProfile) -> Self {
        Self {
            credentials: profile
                .credentials
                .into_iter()
                .map(|(source, name)| v1::CredentialName {
                    source: v1::CredentialSource::from(source).into(),
                    name,
                })
                .collect(),
            query_parameters: profile.query_parameters,
            attributes: profile.attributes,
            data: profile.data.into_iter().map(v1::DataName::from).collect(),
            tags: profile.tags.into_iter().map(tags_to_message).collect(),
            policy_version: profile.policy_version.as_ref().to_owned(),
            peer_identity: profile.peer_identity,
            peer_certificate: profile.peer_certificate,
        }
    }
}

impl TryFrom<v1::GetWireProfileResponse> for WireProfile {
    type Error = ConvertError;

    fn try_from(message: v1::GetWireProfileResponse) -> Result<Self, ConvertError> {
        let credentials = message.credentials.into_iter();
        Ok(Self {
            credentials: credentials
                .map(|credential| Ok((source(credential.source)?, credential.name)))
                .collect::<Result<_, ConvertError>>()
                .map_err(|error| error.under("credentials"))?,
            query_parameters: message.query_parameters,
            attributes: message.attributes,
            data: message
                .data
                .into_iter()
                .map(DataName::try_from)
                .collect::<Result<_, ConvertError>>()
                .map_err(|error| error.under("data"))?,
            tags: message.tags.into_iter().map(tags_of_message).collect(),
            policy_version: message.policy_version.into(),
            peer_identity: message.peer_identity,
            peer_certificate: message.peer_certificate,
        })
    }
}

#[cfg(test)]
mod tests {
    use auth_core::wire::CredentialSource;

    use super::*;

    #[test]
    fn a_profile_comes_back_as_it_was() {
        let profile = WireProfile {
            credentials: vec![(CredentialSource::Header, "x-api-key".into())],
            query_parameters: vec!["key".into()],
            attributes: vec!["origin".into()],
            data: [
                TextType::String,
                TextType::Int,
                TextType::Double,
                TextType::Bool,
            ]
            .map(|text| DataName {
                operation: "op".into(),
                field: "f".into(),
                path: "payload.f".into(),
                text,
            })
            .to_vec(),
            tags: vec![OperationTags {
                operation: "op".into(),
                tags: vec!["api".into()],
            }],
            policy_version: "v1".into(),
            peer_identity: true,
            peer_certificate: true,
        };
        let message = v1::GetWireProfileResponse::from(profile.clone());
        assert_eq!(WireProfile::try_from(message), Ok(profile));
    }

    #[test]
    fn a_text_type_of_a_later_build_is_refused() {
        let message = v1::GetWireProfileResponse {
            data: vec![v1::DataName {
                text_type: 99,
                ..v1::DataName::default()
            }],
            ..v1::GetWireProfileResponse::default()
        };
        let refused = WireProfile::try_from(message).unwrap_err();
        assert!(refused.to_string().contains("data.text_type"), "{refused}");
    }
}
