resource "aws_elasticache_subnet_group" "shop" {
  name       = "shop-${var.environment}"
  subnet_ids = var.private_subnet_ids
}

resource "aws_security_group" "cache" {
  name   = "shop-${var.environment}-cache"
  vpc_id = var.vpc_id

  ingress {
    from_port       = 6379
    to_port         = 6379
    protocol        = "tcp"
    security_groups = [aws_eks_cluster.shop.vpc_config[0].cluster_security_group_id]
  }
}

resource "aws_elasticache_cluster" "shop" {
  cluster_id           = "shop-${var.environment}"
  engine               = "redis"
  engine_version       = "7.1"
  node_type            = var.cache_node_type
  num_cache_nodes      = 1
  parameter_group_name = "default.redis7"
  port                 = 6379
  subnet_group_name    = aws_elasticache_subnet_group.shop.name
  security_group_ids   = [aws_security_group.cache.id]
}
