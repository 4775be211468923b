output "database_address" {
  value = aws_db_instance.shop.address
}

output "cache_address" {
  value = aws_elasticache_cluster.shop.cache_nodes[0].address
}

output "balancer_dns_name" {
  value = aws_lb.shop.dns_name
}
