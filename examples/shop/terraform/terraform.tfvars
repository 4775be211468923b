environment        = "prod"
vpc_id             = "vpc-00000000000000000"
public_subnet_ids  = ["subnet-00000000000000001", "subnet-00000000000000002"]
private_subnet_ids = ["subnet-00000000000000003", "subnet-00000000000000004"]
cluster_role_arn   = "arn:aws:iam::000000000000:role/shop-cluster"
node_role_arn      = "arn:aws:iam::000000000000:role/shop-nodes"
db_instance_class  = "db.t4g.micro"
cache_node_type    = "cache.t4g.micro"
