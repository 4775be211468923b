import { Sequelize } from 'sequelize';

export const sequelize = new Sequelize(process.env.DATABASE_URL, {
  dialect: 'postgres',
  logging: false,
  define: { underscored: true },
  pool: {
    max: Number(process.env.DB_POOL_MAX ?? 5),
    acquire: 30_000,
    idle: 10_000,
  },
});
