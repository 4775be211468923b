resource "aws_security_group" "public" {
  name   = "shop-${var.environment}-public"
  vpc_id = var.vpc_id

  ingress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }

  egress {
    from_port   = 0
    to_port     = 0
    protocol    = "-1"
    cidr_blocks = ["0.0.0.0/0"]
  }
}

# The tags let the ingress controller adopt this balancer instead of making its own.
resource "aws_lb" "shop" {
  name               = "shop-${var.environment}"
  load_balancer_type = "application"
  idle_timeout       = 60
  security_groups    = [aws_security_group.public.id]
  subnets            = var.public_subnet_ids

  tags = {
    "elbv2.k8s.aws/cluster"    = aws_eks_cluster.shop.name
    "ingress.k8s.aws/stack"    = "shop-${var.environment}/shop"
    "ingress.k8s.aws/resource" = "LoadBalancer"
  }
}
