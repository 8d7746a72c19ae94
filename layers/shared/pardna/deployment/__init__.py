"""What happens once per deployment: migrating the database, as a CloudFormation custom resource."""
