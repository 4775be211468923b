resource "aws_eks_cluster" "shop" {
  name     = "shop-${var.environment}"
  role_arn = var.cluster_role_arn
  version  = "1.31"

  vpc_config {
    subnet_ids = concat(var.public_subnet_ids, var.private_subnet_ids)
  }
}

resource "aws_eks_node_group" "shop" {
  cluster_name    = aws_eks_cluster.shop.name
  node_group_name = "shop"
  node_role_arn   = var.node_role_arn
  subnet_ids      = var.private_subnet_ids
  instance_types  = ["m7g.large"]

  scaling_config {
    desired_size = 3
    min_size     = 3
    max_size     = 8
  }
}
