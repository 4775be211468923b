import { DataTypes } from 'sequelize';
import { sequelize } from './db.js';

const id = {
  type: DataTypes.BIGINT,
  primaryKey: true,
  autoIncrement: true,
};

export const User = sequelize.define('User', {
  id,
  email: { type: DataTypes.TEXT, allowNull: false, unique: true },
  name: { type: DataTypes.TEXT, allowNull: false },
  passwordHash: { type: DataTypes.TEXT, allowNull: false },
  points: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
}, { tableName: 'users' });

export const Product = sequelize.define('Product', {
  id,
  sku: { type: DataTypes.TEXT, allowNull: false, unique: true },
  name: { type: DataTypes.TEXT, allowNull: false },
  description: { type: DataTypes.TEXT, allowNull: false },
  image: { type: DataTypes.TEXT, allowNull: false },
  priceCents: { type: DataTypes.INTEGER, allowNull: false },
  stock: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 0 },
}, { tableName: 'products' });

export const Order = sequelize.define('Order', {
  id,
  userId: { type: DataTypes.BIGINT, allowNull: false },
  productId: { type: DataTypes.BIGINT, allowNull: false },
  quantity: { type: DataTypes.INTEGER, allowNull: false, defaultValue: 1 },
  amountCents: { type: DataTypes.INTEGER, allowNull: false },
  status: { type: DataTypes.TEXT, allowNull: false, defaultValue: 'pending' },
  paymentIntent: { type: DataTypes.TEXT },
}, { tableName: 'orders' });

export const Payment = sequelize.define('Payment', {
  id,
  orderId: { type: DataTypes.BIGINT, allowNull: false },
  paymentIntent: { type: DataTypes.TEXT, allowNull: false },
  amountCents: { type: DataTypes.INTEGER, allowNull: false },
}, { tableName: 'payments', updatedAt: false });

export const Notification = sequelize.define('Notification', {
  id,
  userId: { type: DataTypes.BIGINT, allowNull: false },
  body: { type: DataTypes.TEXT, allowNull: false },
  readAt: { type: DataTypes.DATE },
}, { tableName: 'notifications', updatedAt: false });
