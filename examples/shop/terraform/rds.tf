resource "aws_db_subnet_group" "shop" {
  name       = "shop-${var.environment}"
  subnet_ids = var.private_subnet_ids
}

resource "aws_security_group" "database" {
  name   = "shop-${var.environment}-database"
  vpc_id = var.vpc_id

  ingress {
    from_port       = 5432
    to_port         = 5432
    protocol        = "tcp"
    security_groups = [aws_eks_cluster.shop.vpc_config[0].cluster_security_group_id]
  }
}

resource "aws_db_parameter_group" "shop" {
  name   = "shop-${var.environment}-postgres15"
  family = "postgres15"

  parameter {
    name         = "max_connections"
    value        = "100"
    apply_method = "pending-reboot"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "500"
  }
}

resource "aws_db_instance" "shop" {
  identifier                  = "shop-${var.environment}"
  engine                      = "postgres"
  engine_version              = "15.4"
  instance_class              = var.db_instance_class
  allocated_storage           = 50
  storage_type                = "gp3"
  storage_encrypted           = true
  db_name                     = "shop"
  username                    = "shop"
  manage_master_user_password = true
  parameter_group_name        = aws_db_parameter_group.shop.name
  db_subnet_group_name        = aws_db_subnet_group.shop.name
  vpc_security_group_ids      = [aws_security_group.database.id]
  backup_retention_period     = 14
  deletion_protection         = true
  skip_final_snapshot         = false
  final_snapshot_identifier   = "shop-${var.environment}-final"
}
