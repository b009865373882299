//! The audit log: the filter of its list, and the view in responses.

use serde::Serialize;

use super::param;
use super::query::{FromQuery, Query};
use super::view::Resource;
use crate::domain::{
    ActorType, AuditAction, AuditEntry, AuditEntryId, AuditFilter, SubjectType, ValidationErrors, time,
};

/// An entry of the audit log.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = AuditEntry))]
pub struct AuditEntryView<'a> {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = "uuid"))]
    id: AuditEntryId,
    /// Time of the action, to the millisecond.
    #[cfg_attr(feature = "openapi", schema(format = "date-time", examples("2024-10-06T12:00:00.000Z")))]
    at: String,
    #[cfg_attr(feature = "openapi", schema(inline))]
    actor: ActorView<'a>,
    action: AuditAction,
    #[cfg_attr(feature = "openapi", schema(inline))]
    subject: SubjectView<'a>,
    /// `X-Request-ID` of the request; for an operator, the id of the command.
    #[cfg_attr(feature = "openapi", schema(examples("JKJaXmPLvHcESHA=")))]
    request_id: &'a str,
}

/// The key, the user or the operator that did something.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct ActorView<'a> {
    r#type: ActorType,
    /// Id of the API key; for a token or an operator, a hash that stands for the user.
    #[cfg_attr(feature = "openapi", schema(examples("7c9e6679-7425-40de-944b-e07fc1f90ae7")))]
    id: &'a str,
}

/// The resource that an action was done to.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct SubjectView<'a> {
    r#type: SubjectType,
    #[cfg_attr(feature = "openapi", schema(format = "uuid"))]
    id: &'a str,
}

impl<'a> AuditEntryView<'a> {
    /// The view of an entry.
    fn of(entry: &'a AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: time::to_millis(entry.at),
            actor: ActorView { r#type: entry.actor.actor_type, id: &entry.actor.id },
            action: entry.action,
            subject: SubjectView { r#type: entry.action.subject_type(), id: &entry.subject_id },
            request_id: &entry.request_id,
        }
    }
}

impl Resource for AuditEntry {
    fn view(&self) -> impl Serialize {
        AuditEntryView::of(self)
    }
}

impl FromQuery for AuditFilter {
    fn read(query: &Query, errors: &mut ValidationErrors) -> Self {
        Self {
            actor_id: query.read(errors, &param::AUDIT_ACTOR, str::parse),
            action: query.read(errors, &param::AUDIT_ACTION, str::parse),
            from: query.time(errors, &param::AUDIT_FROM),
            to: query.time(errors, &param::AUDIT_TO),
        }
    }
}
