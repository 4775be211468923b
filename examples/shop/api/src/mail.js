import sgMail from '@sendgrid/mail';

sgMail.setApiKey(process.env.SENDGRID_API_KEY);

const { MAIL_FROM, PUBLIC_URL } = process.env;

export async function sendOrderMail(user, order) {
  await sgMail.send({
    to: user.email,
    from: MAIL_FROM,
    subject: `We have your order ${order.id}`,
    text: `Hello ${user.name}, follow your order at ${PUBLIC_URL}/orders`,
  });
}

export async function sendReceiptMail(user, order) {
  await sgMail.send({
    to: user.email,
    from: MAIL_FROM,
    subject: `Receipt for order ${order.id}`,
    text: `Hello ${user.name}, we received ${(order.amountCents / 100).toFixed(2)} EUR. Thank you.`,
  });
}
