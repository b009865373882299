//! What the IAM policy of an endpoint's function allows on the table.

use std::collections::{BTreeMap, BTreeSet};

use super::{Action, Spec};
use crate::dynamodb::keys::Partition;

/// A statement of an IAM policy: actions on the items of some partitions.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    /// The actions.
    pub actions: Vec<Action>,
    /// The partitions. A request may name several, and each has to be one of these.
    pub partitions: BTreeSet<Partition>,
    /// The index whose partitions these are; `None` for those of the table.
    pub index: Option<&'static str>,
}

impl Spec {
    /// The statements of its function's policy.
    ///
    /// Every endpoint looks up the API key and the organization of a request, and counts requests. An action stands in one
    /// statement, with all partitions that it is allowed on: DynamoDB's documentation does not say whether the keys of a
    /// transaction are compared one by one or all together, and no combination of two statements would allow them together.
    pub fn grants(&self) -> Vec<Grant> {
        let of_organization = self.table.iter().map(|action| (*action, Partition::Organization));
        let of_api_key = self.api_keys.iter().map(|action| (*action, Partition::ApiKey));
        let of_every_endpoint = [
            (Action::GetItem, Partition::ApiKey),
            (Action::GetItem, Partition::Profile),
            (Action::UpdateItem, Partition::Usage),
        ];
        let mut partitions: BTreeMap<Action, BTreeSet<Partition>> = BTreeMap::new();
        let of_partitions = self.partitions.iter().copied();
        for (action, partition) in of_organization.chain(of_api_key).chain(of_partitions).chain(of_every_endpoint) {
            partitions.entry(action).or_default().insert(partition);
        }

        let mut actions: BTreeMap<BTreeSet<Partition>, Vec<Action>> = BTreeMap::new();
        for (action, mut partitions) in partitions {
            if partitions.contains(&Partition::Organization) {
                for part in [Partition::Profile, Partition::Usage, Partition::Audit] {
                    partitions.remove(&part);
                }
            }
            actions.entry(partitions).or_default().push(action);
        }
        let on_table = actions.into_iter().map(|(partitions, actions)| Grant { actions, partitions, index: None });
        let on_indexes = self.indexes.iter().map(|index| Grant {
            actions: vec![Action::Query],
            partitions: [Partition::Organization].into(),
            index: Some(index),
        });
        on_table.chain(on_indexes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Endpoint;

    fn grants(endpoint: Endpoint) -> Vec<(Vec<Action>, Vec<Partition>, Option<&'static str>)> {
        let parts = |grant: Grant| (grant.actions, grant.partitions.into_iter().collect(), grant.index);
        endpoint.spec().grants().into_iter().map(parts).collect()
    }

    #[test]
    fn an_endpoint_that_reads_may_write_request_counters_only() {
        let expected = [
            (vec![Action::GetItem], vec![Partition::ApiKey, Partition::Profile], None),
            (vec![Action::BatchGetItem], vec![Partition::Organization], None),
            (vec![Action::UpdateItem], vec![Partition::Usage], None),
            (vec![Action::Query], vec![Partition::Organization], Some("gsi2")),
        ];
        assert_eq!(grants(Endpoint::GetCampaignLead), expected);
    }

    #[test]
    fn an_action_on_two_kinds_of_partitions_stands_in_one_statement() {
        let expected = [
            (vec![Action::GetItem, Action::PutItem], vec![Partition::ApiKey, Partition::Organization], None),
            (vec![Action::UpdateItem], vec![Partition::Usage], None),
        ];
        assert_eq!(grants(Endpoint::CreateApiKey), expected);
    }

    #[test]
    fn an_action_may_be_limited_to_a_part_of_an_organization() {
        let expected = [
            (vec![Action::GetItem], vec![Partition::ApiKey, Partition::Profile], None),
            (vec![Action::BatchGetItem], vec![Partition::ApiKey, Partition::Usage], None),
            (vec![Action::UpdateItem], vec![Partition::Usage], None),
            (vec![Action::Query], vec![Partition::Organization], Some("gsi1")),
        ];
        let granted = grants(Endpoint::ListApiKeys);
        assert!(expected.iter().all(|grant| granted.contains(grant)) && granted.len() == expected.len(), "{granted:?}");
        assert!(grants(Endpoint::ListAuditLog).contains(&(vec![Action::Query], vec![Partition::Audit], None)));
    }

    #[test]
    fn request_counters_are_among_the_items_of_an_organization() {
        let expected = [
            (vec![Action::GetItem], vec![Partition::ApiKey, Partition::Organization], None),
            (vec![Action::UpdateItem], vec![Partition::Organization], None),
        ];
        assert_eq!(grants(Endpoint::UpdateImport), expected);
    }
}
