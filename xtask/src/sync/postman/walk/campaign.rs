//! A campaign, and the contacts of an import as its leads.

use shared::Endpoint;

use super::super::step::{Body, Folder, Step};

pub(super) const FOLDER: Folder = Folder {
    name: "Campaign",
    description: "Creates a campaign, turns the contacts of the import into its leads, and follows a lead. Needs the folder Import. \
                  On AWS a new lead can be missing for a moment where it is looked up by its own id: send the request again.",
    steps: STEPS,
};

const STEPS: &[Step] = &[
    Step {
        headers: &[("Idempotency-Key", "{{$guid}}")],
        tests: &[("the campaign is active", r#"pm.expect(body.status).to.equal("active");"#)],
        hands_on: &[("campaign_id", "body.id"), ("idempotency_key", r#"pm.request.headers.get("Idempotency-Key")"#)],
        ..Step::to(Endpoint::CreateCampaign)
    },
    Step {
        name: "Create the campaign once more with the same Idempotency-Key",
        note: "Creates nothing: the response is the stored one of the first request. So a request that timed out can be sent again.",
        headers: &[("Idempotency-Key", "{{idempotency_key}}")],
        tests: &[
            (
                "the response is a replay",
                r#"pm.expect(pm.response.headers.get("Idempotent-Replayed")).to.equal("true");"#,
            ),
            (
                "the campaign is the first one",
                r#"pm.expect(body.id).to.equal(pm.collectionVariables.get("campaign_id"));"#,
            ),
        ],
        ..Step::to(Endpoint::CreateCampaign)
    },
    Step {
        query: &[("status", "active"), ("limit", "10")],
        tests: &[(
            "only active campaigns are listed",
            r#"body.forEach((row) => pm.expect(row.status).to.equal("active"));"#,
        )],
        ..Step::to(Endpoint::ListCampaigns)
    },
    Step {
        tests: &[("the lead magnet has an id", r#"pm.expect(body.lead_magnet_id).to.be.a("string");"#)],
        ..Step::to(Endpoint::GetCampaign)
    },
    Step {
        body: Body::Example(&[("01924dd1-4a80-7000-8000-000000000003", "{{import_id}}")]),
        tests: &[(
            "each contact of the import became a lead",
            "pm.expect(body).to.include({ linked_imports: 1, considered_contacts: 3, inserted_leads: 3 });",
        )],
        ..Step::to(Endpoint::LinkImports)
    },
    Step {
        name: "Link the import once more: no lead is created twice",
        body: Body::Example(&[("01924dd1-4a80-7000-8000-000000000003", "{{import_id}}")]),
        tests: &[("no lead was created", "pm.expect(body).to.include({ excluded_contacts: 3, inserted_leads: 0 });")],
        ..Step::to(Endpoint::LinkImports)
    },
    Step {
        name: "List the lead of the imported contact",
        query: &[("campaign_id", "{{campaign_id}}"), ("contact_id", "{{imported_contact_id}}")],
        tests: &[(
            "the contact is one pending lead of the campaign",
            r#"pm.expect(body.map((lead) => lead.lead_status)).to.eql(["pending"]);"#,
        )],
        hands_on: &[("lead_id", "body[0].id")],
        ..Step::to(Endpoint::ListCampaignLeads)
    },
    Step::to(Endpoint::GetCampaignLead),
    Step {
        tests: &[(
            "the lead has the new values",
            r#"pm.expect(body).to.include({ lead_status: "in_progress", lead_score: 87.5, lead_phase: "contacted" });"#,
        )],
        ..Step::to(Endpoint::UpdateCampaignLead)
    },
    Step {
        name: "Pause the campaign",
        tests: &[("the campaign is paused", r#"pm.expect(body.status).to.equal("paused");"#)],
        ..Step::to(Endpoint::UpdateCampaign)
    },
];
